"""What `import helix_substrate` offers, for type checkers; __init__.py imports it lazily."""

from helix_substrate.checkpoint import DecompressSummary as DecompressSummary
from helix_substrate.checkpoint import InspectedTensor as InspectedTensor
from helix_substrate.checkpoint import Inspection as Inspection
from helix_substrate.checkpoint import PlannedTensor as PlannedTensor
from helix_substrate.checkpoint import VerifyReport as VerifyReport
from helix_substrate.checkpoint import compress as compress
from helix_substrate.checkpoint import decompress as decompress
from helix_substrate.checkpoint import inspect as inspect
from helix_substrate.checkpoint import plan as plan
from helix_substrate.checkpoint import verify as verify
from helix_substrate.codec import CompressedTensor as CompressedTensor
from helix_substrate.codec import Metrics as Metrics
from helix_substrate.codec import encode as encode
from helix_substrate.errors import CancelledError as CancelledError
from helix_substrate.errors import CorruptDataError as CorruptDataError
from helix_substrate.errors import DeviceError as DeviceError
from helix_substrate.errors import HelixError as HelixError
from helix_substrate.errors import InternalError as InternalError
from helix_substrate.errors import InvalidArgumentError as InvalidArgumentError
from helix_substrate.errors import IoError as IoError
from helix_substrate.errors import NotFoundError as NotFoundError
from helix_substrate.errors import OutOfMemoryError as OutOfMemoryError
from helix_substrate.errors import UnsupportedError as UnsupportedError
from helix_substrate.evaluation import Comparison as Comparison
from helix_substrate.evaluation import Evaluation as Evaluation
from helix_substrate.evaluation import evaluate as evaluate
from helix_substrate.model import Generation as Generation
from helix_substrate.model import Model as Model
from helix_substrate.model import ModelDescription as ModelDescription
from helix_substrate.model import TextStream as TextStream
from helix_substrate.model import load as load
from helix_substrate.torch import HelixConv1D as HelixConv1D
from helix_substrate.torch import HelixEmbedding as HelixEmbedding
from helix_substrate.torch import HelixLinear as HelixLinear
from helix_substrate.torch import HelixLinearSTE as HelixLinearSTE
from helix_substrate.torch import compress_modules as compress_modules
from helix_substrate.torch import load_adapters as load_adapters
from helix_substrate.torch import prepare_for_lora as prepare_for_lora
from helix_substrate.torch import save_adapters as save_adapters
from helix_substrate.transformers import HxqConfig as HxqConfig

__version__: str
