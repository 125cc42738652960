"""What the `weight` of a compressed module is: the dense matrix, decoded when first looked into.

PEFT reads `weight.dtype`, `.shape` and `.device` some twenty times per layer; these cost nothing
here. Any operation decodes, and gives plain tensors. Assigning to `.data` encodes anew, which is
how PEFT merges adapters; changes in place touch the decoded copy alone and are not kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only


class DecodedWeight(Tensor):
    """A matrix without memory of its own until an operation needs it."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # operations give plain tensors

    @staticmethod
    def __new__(cls: type[DecodedWeight], module: Any) -> DecodedWeight:
        weight = Tensor._make_wrapper_subclass(
            cls, module.weight_shape, dtype=module.module_dtype, device=module.device
        )
        weight._module = module
        weight._decoded = None
        weight._assigned = None  # the codebook that an assignment through this object gave
        weight._is_hf_initialized = True  # transformers' initialisation leaves it alone
        return weight

    def decoded(self) -> Tensor:
        """The plain matrix; the same object each time."""
        if self._decoded is None:
            self._decoded = self._module.dequantize()
        return self._decoded

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        plain = tree_map_only(DecodedWeight, DecodedWeight.decoded, (args, kwargs or {}))
        return func(*plain[0], **plain[1])

    @property
    def data(self) -> Tensor:
        return self.decoded()

    @data.setter
    def data(self, value: Tensor) -> None:
        if isinstance(value, DecodedWeight):
            if value._module is self._module and value._assigned is self._module.codes.codebook:
                return  # was encoded already
            value = value.decoded()
        self._module.assign_weight(value)
        self._decoded = value.detach().to(self.dtype)
        self._assigned = self._module.codes.codebook

    # What reads memory without an operation

    def data_ptr(self) -> int:
        return self.decoded().data_ptr()

    def untyped_storage(self) -> Any:
        return self.decoded().untyped_storage()

    def numpy(self, *, force: bool = False) -> Any:
        return self.decoded().numpy(force=force)

    def tolist(self) -> Any:
        return self.decoded().tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return self.decoded().clone()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.decoded().__reduce_ex__(protocol)

    def __repr__(self, **_: Any) -> str:
        return repr(self.decoded())
