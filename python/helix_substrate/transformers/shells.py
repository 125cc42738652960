"""Empty compressed modules in the places of dense ones, to be filled by transformers' loader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from helix_substrate.torch import CompressedModule, HelixConv1D, HelixEmbedding, HelixLinear
from helix_substrate.torch.codes import Codes
from helix_substrate.transformers.contents import DTYPES
from helix_substrate.transformers.layout import StoredModule

Spec = dict[str, tuple[torch.dtype, tuple[int, ...]]]


def can_run_compressed(module: nn.Module) -> bool:
    """Whether a compressed module computes what this dense one does: no forward of its own."""
    kinds = (nn.Linear, nn.Embedding, Conv1D)
    plain = any(isinstance(module, k) and type(module).forward is k.forward for k in kinds)
    return plain and getattr(module, "max_norm", None) is None


def spec_of(module: StoredModule) -> Spec:
    """Type and shape of every buffer, exactly as stored."""
    spec = {part: (DTYPES[stored.dtype], stored.shape) for part, stored in module.parts.items()}
    if "sidecar_indices" in spec:
        spec["sidecar_positions"] = spec.pop("sidecar_indices")
    return spec


def make_shell(dense: nn.Module, spec: Spec) -> CompressedModule:
    """The compressed twin of `dense` (on the meta device), without content.

    A Conv1D becomes a HelixLinear at first: its file holds the codes of the matrix as the dense
    file has it, (in, out). `finish_conv1d` turns it around once it is loaded.
    """
    rows, columns = dense.weight.shape
    dtype = dense.weight.dtype
    if isinstance(dense, nn.Embedding):
        shell = HelixEmbedding.from_spec(rows, columns, spec, dense.padding_idx, dtype=dtype)
        return shell.train(dense.training)
    shell = HelixLinear.from_spec(columns, rows, spec, dtype=dtype)
    shell.bias = dense.bias
    return shell.train(dense.training)


def expect_synonym(shell: CompressedModule) -> None:
    """Makes the loader fill `sidecar_indices`, which `normalise` renames."""
    shell.register_buffer("sidecar_indices", shell._buffers["sidecar_positions"])
    shell._buffers["sidecar_positions"] = None


def make_tied(dense: nn.Module, source: CompressedModule) -> CompressedModule:
    """A module in the place of `dense` that uses the codes of `source`."""
    dtype = source.module_dtype
    if isinstance(dense, nn.Embedding):
        tied = HelixEmbedding(source.rows, source.columns, dense.padding_idx, dtype)
    else:
        tied = HelixLinear(source.columns, source.rows, dtype)
        tied.bias = getattr(dense, "bias", None)
    tied.tie_to(source)
    return tied.train(dense.training)


def finish_conv1d(loaded: HelixLinear) -> HelixConv1D:
    """The Conv1D of codes that lie as (in, out)."""
    codes = transposed(loaded.codes, loaded.rows, loaded.columns)
    finished = HelixConv1D.from_codes(
        codes, loaded.rows, loaded.columns, loaded.bias, loaded.module_dtype
    )
    return finished.train(loaded.training)


def transposed(codes: Codes, rows: int, columns: int) -> Codes:
    """The codes of the transposed (columns, rows) matrix: the same weights, bit for bit."""
    if codes.vector_size != 1 or codes.channel_scales is not None:
        from helix_substrate.errors import UnsupportedError

        raise UnsupportedError("a Conv1D stored as vectors or with channel scales")
    indices = unpacked(codes.indices) if codes.packed else codes.indices
    indices = indices.view(rows, columns).T.contiguous()
    indices = packed(indices) if codes.packed else indices
    positions, values = codes.sidecar_positions, codes.sidecar_values
    if positions is not None:
        wide = positions.to(torch.int64)
        positions, order = torch.sort(wide % columns * rows + wide // columns)
        values = values[order]
    u, vt = codes.svd_U, codes.svd_Vt
    if u is not None:
        u, vt = vt.T.contiguous(), u.T.contiguous()
    return Codes(codes.codebook, indices, positions, values, u, codes.svd_s, vt)


def unpacked(indices: torch.Tensor) -> torch.Tensor:
    """I16 indices, one each, from 12-bit pairs in three bytes."""
    first, middle, last = indices.view(-1, 3).to(torch.int16).unbind(1)
    pairs = (first | (middle & 15) << 8, middle >> 4 | last << 4)
    return torch.stack(pairs, dim=1).flatten()


def packed(indices: torch.Tensor) -> torch.Tensor:
    """The reverse of `unpacked`."""
    a, b = indices.reshape(-1, 2).to(torch.int16).unbind(1)
    bytes_of_pair = (a & 0xFF, a >> 8 | (b & 15) << 4, b >> 4)
    return torch.stack(bytes_of_pair, dim=1).to(torch.uint8).flatten()


def normalise(shell: CompressedModule) -> None:
    """Brings what old files have to what is written: names, I64 positions, U16 indices."""
    buffers: dict[str, Any] = shell._buffers
    if "sidecar_indices" in buffers:
        buffers["sidecar_positions"] = buffers.pop("sidecar_indices")
    positions, indices = buffers["sidecar_positions"], buffers["indices"]
    if positions is not None and positions.dtype == torch.int32:
        buffers["sidecar_positions"] = positions.to(torch.int64)
    if indices is not None and indices.dtype == torch.int16:
        buffers["indices"] = indices.view(torch.uint16)


def replace(model: nn.Module, path: str, module: nn.Module) -> None:
    """Puts `module` at `path`."""
    parent, _, name = path.rpartition(".")
    model.get_submodule(parent)._modules[name] = module


def shells_of(model: nn.Module) -> Mapping[str, CompressedModule]:
    """Every compressed module by its path; those tied to another included."""
    modules = model.named_modules(remove_duplicate=True)
    return {path: module for path, module in modules if isinstance(module, CompressedModule)}
