"""nn.Embedding on codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from helix_substrate.torch.codes import Codes
from helix_substrate.torch.compressed_module import CompressedModule, TensorSpec
from helix_substrate.torch.encoding import encode


class HelixEmbedding(CompressedModule, nn.Embedding):
    """Rows of a compressed matrix by id: I64 or I32 (...) -> (..., embedding_dim), module_dtype.

    An id out of range raises IndexError. The rows have no gradient.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Without codes; use `from_spec`, `from_dense` or `from_compressed`."""
        nn.Module.__init__(self)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        self.max_norm, self.norm_type = None, 2.0
        self.scale_grad_by_freq = self.sparse = False
        self._hold(num_embeddings, embedding_dim, dtype)

    @classmethod
    def from_spec(
        cls,
        num_embeddings: int,
        embedding_dim: int,
        tensors: TensorSpec,
        padding_idx: int | None = None,
        device: Any = "meta",
        dtype: torch.dtype | None = None,
    ) -> HelixEmbedding:
        """A shell to be filled by a loader: dtype and shape of every tensor as in the file."""
        module = cls(num_embeddings, embedding_dim, padding_idx, dtype)
        module._set_spec(tensors, device)
        return module

    @classmethod
    def from_codes(
        cls,
        codes: Codes,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> HelixEmbedding:
        module = cls(num_embeddings, embedding_dim, padding_idx, dtype)
        module._set_codes(codes)
        return module

    @classmethod
    def from_compressed(
        cls, compressed: Any, padding_idx: int | None = None, dtype: torch.dtype = torch.float32
    ) -> HelixEmbedding:
        """On the arrays of a `helix_substrate.CompressedTensor`, which are not copied."""
        rows, columns = compressed.shape
        return cls.from_codes(Codes.from_compressed(compressed), rows, columns, padding_idx, dtype)

    @classmethod
    def from_dense(cls, embedding: nn.Embedding, **options: Any) -> HelixEmbedding:
        """Encodes an nn.Embedding (options of `helix_substrate.encode`)."""
        if embedding.max_norm is not None:
            raise ValueError("an embedding with max_norm changes its weight, and stays dense")
        codes, _ = encode(embedding.weight, **options)
        rows, columns = embedding.weight.shape
        module = cls.from_codes(codes, rows, columns, embedding.padding_idx, embedding.weight.dtype)
        return module.train(embedding.training)

    def forward(self, input: Tensor) -> Tensor:
        return torch.ops.helix.embedding(
            input, *self.codes, self.rows, self.columns, self.module_dtype
        )

    def to_dense(self) -> nn.Embedding:
        rows, columns = self.rows, self.columns
        embedding = nn.Embedding(rows, columns, padding_idx=self.padding_idx, device="meta")
        embedding.weight = nn.Parameter(self.dequantize())
        return embedding.train(self.training)

    def extra_repr(self) -> str:
        return f"{nn.Embedding.extra_repr(self)}, {self._codes_repr()}"
