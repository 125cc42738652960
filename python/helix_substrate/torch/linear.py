"""nn.Linear on codes."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from helix_substrate.torch import operators
from helix_substrate.torch.codes import Codes
from helix_substrate.torch.compressed_module import CompressedModule, TensorSpec
from helix_substrate.torch.encoding import encode

Product = TypeVar("Product", bound="CompressedProduct")


class CompressedProduct(CompressedModule):
    """y = x W^T + bias with W (out_features, in_features) as codes."""

    def __init__(
        self, in_features: int, out_features: int, dtype: torch.dtype | None = None
    ) -> None:
        """Without codes; use `from_spec`, `from_dense` or `from_compressed`."""
        nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self._hold(out_features, in_features, dtype)
        self.register_parameter("bias", None)

    @classmethod
    def from_spec(
        cls: type[Product],
        in_features: int,
        out_features: int,
        tensors: TensorSpec,
        bias: torch.dtype | None = None,
        device: Any = "meta",
        dtype: torch.dtype | None = None,
    ) -> Product:
        """A shell to be filled by a loader: dtype and shape of every tensor as in the file."""
        module = cls(in_features, out_features, dtype)
        module._set_spec(tensors, device)
        if bias is not None:
            module.bias = nn.Parameter(torch.empty(out_features, dtype=bias, device=device))
        return module

    @classmethod
    def from_codes(
        cls: type[Product],
        codes: Codes,
        in_features: int,
        out_features: int,
        bias: Any = None,
        dtype: torch.dtype = torch.float32,
    ) -> Product:
        """On these very tensors. `bias`: a parameter (shared), a tensor or an array."""
        module = cls(in_features, out_features, dtype)
        module._set_codes(codes)
        module.bias = _as_parameter(bias)
        return module

    @classmethod
    def from_compressed(
        cls: type[Product], compressed: Any, bias: Any = None, dtype: torch.dtype = torch.float32
    ) -> Product:
        """On the arrays of a `helix_substrate.CompressedTensor` (out, in), which are not copied."""
        rows, columns = compressed.shape
        return cls.from_codes(Codes.from_compressed(compressed), columns, rows, bias, dtype)

    @classmethod
    def from_dense(cls: type[Product], dense: Any, **options: Any) -> Product:
        """Encodes the dense module (options of `helix_substrate.encode`); its bias is shared."""
        weight = dense.weight.T if cls.transposed else dense.weight
        codes, _ = encode(weight, **options)
        rows, columns = weight.shape
        module = cls.from_codes(codes, columns, rows, dense.bias, weight.dtype)
        return module.train(dense.training)

    def forward(self, x: Tensor) -> Tensor:
        return operators.linear(_activation(x), self.codes, self.bias, self.rows, self.columns)


class HelixLinear(CompressedProduct, nn.Linear):
    """An nn.Linear on codes: (..., in_features) -> (..., out_features), in the dtype of x.

    F32 activations are multiplied and summed in F32; F16 and BF16 ones in 16 bits with F32 sums.
    The bias is added in F32.
    """

    def to_dense(self) -> nn.Linear:
        """The dense twin: a weight of its own, the same bias parameter."""
        linear = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        linear.weight = nn.Parameter(self.dequantize())
        linear.bias = self.bias
        return linear.train(self.training)

    def extra_repr(self) -> str:
        return f"{nn.Linear.extra_repr(self)}, {self._codes_repr()}"


def _activation(x: Tensor) -> Tensor:
    """`x` in the dtype that autocast asks for, as nn.Linear would have it."""
    kind = x.device.type
    if kind == "meta" or x.dtype == torch.float64 or not torch.is_autocast_enabled(kind):
        return x
    return x.to(torch.get_autocast_dtype(kind)) if x.is_floating_point() else x


def _as_parameter(bias: Any) -> nn.Parameter | None:
    if bias is None or isinstance(bias, nn.Parameter):
        return bias
    return nn.Parameter(torch.as_tensor(bias))
