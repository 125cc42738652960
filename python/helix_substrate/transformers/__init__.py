"""HXQ checkpoints in Hugging Face transformers.

`register()` makes `from_pretrained` and `save_pretrained` know the format; importing
`helix_substrate` calls it. The classes are imported when they are first asked for, so that
importing the package costs neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helix_substrate.transformers.registration import register

if TYPE_CHECKING:
    from helix_substrate.transformers.config import HxqConfig
    from helix_substrate.transformers.quantizer import HxqQuantizer

__all__ = ["HxqConfig", "HxqQuantizer", "register"]


def __getattr__(name: str) -> Any:
    if name == "HxqConfig":
        from helix_substrate.transformers.config import HxqConfig

        return HxqConfig
    if name == "HxqQuantizer":
        from helix_substrate.transformers.quantizer import HxqQuantizer

        return HxqQuantizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
