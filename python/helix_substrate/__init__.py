"""HXQ: neural network weights as codebooks, indices and a few exact outliers, used as they are.

    import helix_substrate as helix

    helix.compress("model", "model-hxq")          # a checkpoint, by folder or hub name
    model = helix.load("model-hxq")               # the native engine: no PyTorch
    print(model.generate("The capital of France is", max_tokens=32).text)

    weights = helix.encode(array)                 # any 2-D float array
    weights.decode(), weights.matmul(x)

Importing this package also makes transformers, if and when it is imported, load and save HXQ
checkpoints. numpy is all it needs; the rest is imported when it is first used (docs/python.md).
"""

from __future__ import annotations

import importlib
from typing import Any

from helix_substrate.transformers.registration import register as _register

# What comes from which module; __init__.pyi has the same for type checkers.
_NAMES = {
    "checkpoint": """DecompressSummary InspectedTensor Inspection PlannedTensor VerifyReport
        compress decompress inspect plan verify""",
    "codec": "CompressedTensor Metrics encode",
    "errors": """CancelledError CorruptDataError DeviceError HelixError InternalError
        InvalidArgumentError IoError NotFoundError OutOfMemoryError UnsupportedError""",
    "evaluation": "Comparison Evaluation evaluate",
    "model": "Generation Model ModelDescription TextStream load",
    "torch": """HelixConv1D HelixEmbedding HelixLinear HelixLinearSTE compress_modules
        load_adapters prepare_for_lora save_adapters""",
    "transformers": "HxqConfig",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_MODULE_OF)]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from helix_substrate._native import version

        return version
    if name in _MODULE_OF:
        module = importlib.import_module(f"helix_substrate.{_MODULE_OF[name]}")
        found = globals()[name] = getattr(module, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_register()
