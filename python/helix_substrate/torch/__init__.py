"""Compressed weights inside PyTorch: modules, operators, training. See docs/torch.md.

HelixConv1D needs transformers, which is imported when the name is first used.
"""

from __future__ import annotations

from typing import Any

from helix_substrate.torch.adapters import (
    adapters,
    load_adapters,
    merge_adapters,
    prepare_for_lora,
    remove_adapters,
    save_adapters,
    unmerge_adapters,
)
from helix_substrate.torch.codes import Codes
from helix_substrate.torch.compressed_module import CompressedModule
from helix_substrate.torch.embedding import HelixEmbedding
from helix_substrate.torch.linear import HelixLinear
from helix_substrate.torch.lora import HelixLinearSTE
from helix_substrate.torch.replace import Replacement, compress_modules, dequantize

__all__ = [
    "Codes",
    "CompressedModule",
    "HelixConv1D",
    "HelixEmbedding",
    "HelixLinear",
    "HelixLinearSTE",
    "Replacement",
    "adapters",
    "compress_modules",
    "dequantize",
    "load_adapters",
    "merge_adapters",
    "prepare_for_lora",
    "remove_adapters",
    "save_adapters",
    "unmerge_adapters",
]


def __getattr__(name: str) -> Any:
    if name == "HelixConv1D":
        from helix_substrate.torch.conv1d import HelixConv1D

        return HelixConv1D
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
