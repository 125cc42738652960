"""The operation that transformers' loader applies to each tensor that is to be compressed."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.core_model_loading import ConversionOps

from helix_substrate.transformers.compressing import CompressingLoading


class CompressOperation(ConversionOps):
    """Takes the dense tensor away from the loader; what cannot be compressed goes on as it is."""

    def __init__(self, loading: CompressingLoading) -> None:
        self.loading = loading

    def convert(
        self,
        input_dict: dict[str, Any],
        *,
        missing_keys: set[str] | None = None,
        **_: Any,
    ) -> dict[str, Tensor]:
        left = {}
        for name in list(input_dict):
            value = input_dict.pop(name)
            tensor = value[0] if isinstance(value, list) else value
            dense = self.loading.take(name, tensor) if self.wants(name) else tensor
            if dense is not None:
                left[name] = dense
            elif missing_keys is not None:
                missing_keys.difference_update({name, *self.loading.tied})
        return left

    def wants(self, name: str) -> bool:
        return name in self.loading.names_to_compress()
