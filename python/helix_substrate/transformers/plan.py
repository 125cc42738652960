"""Which tensors of a dense checkpoint are compressed while it loads.

The rules are those of `helix compress` (src/convert/plan.cpp), by the names in the files, so that
both compress the same matrices. Beyond them, loading also compresses what only a model can place:
GPT-2's Conv1D and fused experts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from helix_substrate._native import largest_outlier_count
from helix_substrate.transformers.config import HxqConfig
from helix_substrate.transformers.layout import BARE_PARAMETERS, StoredTensor

HEADS = ("lm_head", "embed_out", "output_layer", "lm_head.decoder", "predictions.decoder")
EMBEDDINGS = ("wte", "wpe", "shared", "relative_attention_bias", "embeddings")
ROUTERS = ("gate", "router", "wg", "gating_network", "shared_expert_gate", "gate_network")
ELEMENT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
OUTLIER_BYTES = 12


class Kind(Enum):
    """What a matrix is, by its name."""

    LINEAR = "linear"
    EMBEDDING = "embedding"
    HEAD = "output head"
    ROUTER = "router"
    OTHER = "other"


class Plan:
    """Decides, tensor by tensor, from headers alone.

    `aliases` gives the model's name of a key where it is another one; patterns match either.
    Raises InvalidArgumentError for options that make no sense.
    """

    def __init__(
        self, tensors: Mapping[str, StoredTensor], config: HxqConfig, aliases: Mapping[str, str]
    ) -> None:
        config.check_options()
        self._tensors = tensors
        self._config = config
        self._aliases = aliases

    def options_for(self, key: str, conv1d: bool = False) -> dict[str, Any] | None:
        """The options of `encode` for the tensor `key`; None where it stays exact."""
        tensor = self._tensors[key]
        if not self._is_matrix(tensor):
            return None
        kind = kind_of(key, self._tensors, conv1d)
        options = self.encode_options(key, kind)
        wanted = {Kind.LINEAR: True, Kind.EMBEDDING: self._config.embeddings}
        wanted[Kind.HEAD] = self._config.lm_head
        if self._excludes(key) or not wanted.get(kind, False):
            return None
        if conv1d:
            options["column_scales"] = "none"
        gains = bytes_bound(tensor.shape, options) < tensor.count * ELEMENT_BYTES[tensor.dtype]
        return options if gains else None

    def expert_options(self, key: str, shape: tuple[int, ...], dtype: str) -> dict[str, Any] | None:
        """The same for one expert's matrix of a fused tensor, under the name files would use."""
        options = self.encode_options(key, Kind.LINEAR)
        gains = bytes_bound(shape, options) < math.prod(shape) * ELEMENT_BYTES[dtype]
        return options if gains and not self._excludes(key) else None

    def encode_options(self, key: str, kind: Kind) -> dict[str, Any]:
        size = self._config.codebook_size
        for pattern, asked in (self._config.module_k_map or {}).items():
            if self._matches(pattern, key):
                size = asked
        scales = "none" if kind is Kind.EMBEDDING else self._config.column_scales
        outliers = self._config.outlier_option()
        return {"codebook_size": size, "outliers": outliers, "column_scales": scales}

    def unused_patterns(self) -> list[str]:
        """The patterns of the options that match no tensor at all."""
        patterns = [
            *(self._config.modules_to_not_convert or ()),
            *(self._config.module_k_map or {}),
        ]
        keys = self._tensors.keys()
        return [p for p in patterns if not any(self._matches(p, key) for key in keys)]

    def _is_matrix(self, tensor: StoredTensor) -> bool:
        module, _, leaf = tensor.key.rpartition(".")
        floats = tensor.dtype in ELEMENT_BYTES and len(tensor.shape) == 2 and tensor.count > 0
        bare = module.rpartition(".")[2] in BARE_PARAMETERS or module in self._tensors
        return floats and leaf == "weight" and not bare

    def _excludes(self, key: str) -> bool:
        patterns = self._config.modules_to_not_convert or ()
        return any(self._matches(pattern, key) for pattern in patterns)

    def _matches(self, pattern: str, key: str) -> bool:
        return any(matches(pattern, name) for name in {key, self._aliases.get(key, key)})


def matches(pattern: str, key: str) -> bool:
    """Whether a glob, or the name of a module or of one around it, means the tensor `key`."""
    module = key.removesuffix(".weight")
    is_name = f".{pattern}." in f".{module}."
    return is_name or fnmatchcase(key, pattern) or fnmatchcase(module, pattern)


def kind_of(key: str, tensors: Mapping[str, StoredTensor], conv1d: bool) -> Kind:
    """What the matrix `key` is. `conv1d`: the model stores it as [in, out]."""
    module = key.removesuffix(".weight")
    last = module.rpartition(".")[2]
    if any(f".{module}".endswith(f".{head}") for head in HEADS):
        return Kind.HEAD
    if last in EMBEDDINGS or "embed" in last:
        return Kind.EMBEDDING
    if last in ROUTERS or ".router." in module:
        return Kind.ROUTER
    if conv1d:
        return Kind.LINEAR
    if "norm" in last or "conv" in last:
        return Kind.OTHER
    bias = tensors.get(f"{module}.bias")
    fits = bias is None or bias.shape == tensors[key].shape[:1]
    return Kind.LINEAR if fits else Kind.OTHER


def bytes_bound(shape: tuple[int, ...], options: Mapping[str, Any]) -> int:
    """The most bytes that the compressed form of a matrix can take."""
    count = math.prod(shape)
    asked = options["codebook_size"]
    scales = shape[1] if options["column_scales"] == "auto" else 0
    indices = count if asked <= 256 else count // 2 * 3 if count % 2 == 0 else 2 * count
    outliers = largest_outlier_count(options["outliers"], count)
    return indices + 4 * (min(asked, count) + scales) + OUTLIER_BYTES * outliers
