"""transformers' Conv1D (GPT-2) on codes. Needs transformers."""

from __future__ import annotations

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from helix_substrate.torch.linear import CompressedProduct


class HelixConv1D(CompressedProduct, Conv1D):
    """y = x W + bias: (..., nx) -> (..., nf). `weight` is (nx, nf), the codes are of (nf, nx)."""

    transposed = True

    def __init__(
        self, in_features: int, out_features: int, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(in_features, out_features, dtype)
        self.nx, self.nf = in_features, out_features

    def to_dense(self) -> Conv1D:
        """The dense twin: a weight of its own, the same bias parameter."""
        with torch.device("meta"):
            convolution = Conv1D(self.nf, self.nx)
        convolution.weight = nn.Parameter(self.dequantize())
        convolution.bias = self.bias
        return convolution.train(self.training)

    def __repr__(self) -> str:
        return f"HelixConv1D(nf={self.nf}, nx={self.nx}, {self._codes_repr()})"
