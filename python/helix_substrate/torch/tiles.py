"""The matrix and its products in plain PyTorch, decoded by tiles of rows: on every device.

The compiled kernels are faster; this path serves the devices that they do not (and F64). No more
than one tile of TILE_WEIGHTS decoded weights is alive at any time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import embedding

from helix_substrate.torch.codes import Codes

TILE_WEIGHTS = 1 << 22


def decode_rows(codes: Codes, columns: int, begin: int, end: int) -> Tensor:
    """Rows [begin, end) of the matrix, F32 (end - begin, columns)."""
    weights = _look_up(codes, _row_range_indices(codes, columns, begin, end), columns)
    if codes.sidecar_positions is not None:
        bounds = torch.tensor([begin * columns, end * columns], device=weights.device)
        positions = codes.sidecar_positions.to(torch.int64)
        first, last = torch.searchsorted(positions, bounds).tolist()
        places = positions[first:last] - begin * columns
        weights.view(-1)[places] = codes.sidecar_values[first:last]
    u = None if codes.svd_U is None else codes.svd_U[begin:end]
    return _add_and_scale(codes, weights, u)


def gather_rows(codes: Codes, columns: int, ids: Tensor) -> Tensor:
    """The rows named by `ids`, I64 (n,), in that order: F32 (n, columns)."""
    weights = _look_up(codes, _gathered_indices(codes, columns, ids), columns)
    if codes.sidecar_positions is not None:
        places, entries = _gathered_sidecar(codes.sidecar_positions, columns, ids)
        weights.view(-1)[places] = codes.sidecar_values[entries]
    u = None if codes.svd_U is None else codes.svd_U[ids]
    return _add_and_scale(codes, weights, u)


def decode(codes: Codes, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """The whole matrix (rows, columns)."""
    weights = torch.empty((rows, columns), dtype=dtype, device=codes.codebook.device)
    for begin, end in row_tiles(rows, columns):
        weights[begin:end] = decode_rows(codes, columns, begin, end)
    return weights


def multiply(codes: Codes, rows: int, columns: int, x: Tensor, bias: Tensor | None) -> Tensor:
    """X (batch, columns) * weight^T + bias: (batch, rows), summed in the dtype of x."""
    y = x.new_empty((len(x), rows))
    for begin, end in row_tiles(rows, columns):
        weights, scales = _narrow(decode_rows(codes, columns, begin, end), x.dtype)
        product = x @ weights.T
        y[:, begin:end] = product if scales is None else product.to(torch.float32) * scales
    if bias is None:
        return y
    wide = torch.promote_types(x.dtype, torch.float32)
    return (y.to(wide) + bias.to(wide)).to(x.dtype)


def multiply_transposed(codes: Codes, rows: int, columns: int, g: Tensor) -> Tensor:
    """G (batch, rows) * weight: (batch, columns), summed over tiles in F32 (F64 for F64)."""
    wide = torch.promote_types(g.dtype, torch.float32)
    y = g.new_zeros((len(g), columns), dtype=wide)
    for begin, end in row_tiles(rows, columns):
        y += g[:, begin:end] @ decode_rows(codes, columns, begin, end).to(g.dtype)
    return y.to(g.dtype)


def row_tiles(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    step = max(1, TILE_WEIGHTS // max(columns, 1))
    return ((begin, min(begin + step, rows)) for begin in range(0, rows, step))


def _narrow(weights: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """The tile in `dtype`. F16 ends at 65504: rows with larger outliers are divided by a scale."""
    if dtype != torch.float16:
        return weights.to(dtype), None
    excess = (weights.abs().amax(1) / 2**15).clamp_min(1)
    scales = excess.log2().ceil().exp2()  # (rows,), powers of two: exact
    return (weights / scales[:, None]).to(dtype), scales


def _look_up(codes: Codes, indices: Tensor, columns: int) -> Tensor:
    book = codes.codebook.view(-1, codes.vector_size)
    return embedding(indices, book).view(len(indices), columns)


def _add_and_scale(codes: Codes, weights: Tensor, u: Tensor | None) -> Tensor:
    if u is not None:
        weights = weights + (u * codes.svd_s) @ codes.svd_Vt
    return weights if codes.channel_scales is None else weights / codes.channel_scales


# Indices as I32 (n, columns / d)


def _row_range_indices(codes: Codes, columns: int, begin: int, end: int) -> Tensor:
    if not codes.packed:
        return _widen(codes.indices[begin:end])
    per_row = columns // codes.vector_size
    places = torch.arange(begin * per_row, end * per_row, device=codes.indices.device)
    return _unpack(codes.indices, places.view(end - begin, per_row))


def _gathered_indices(codes: Codes, columns: int, ids: Tensor) -> Tensor:
    if not codes.packed:
        if codes.indices.dtype == torch.uint16:  # not every device gathers uint16
            return _widen(codes.indices.view(torch.int16)[ids])
        return _widen(codes.indices[ids])
    per_row = columns // codes.vector_size
    places = ids[:, None] * per_row + torch.arange(per_row, device=ids.device)
    return _unpack(codes.indices, places)


def _widen(indices: Tensor) -> Tensor:
    wide = indices.to(torch.int32)
    return wide if indices.dtype == torch.uint8 else wide & 0xFFFF


def _unpack(packed: Tensor, places: Tensor) -> Tensor:
    """The 12-bit indices at `places`: an even one starts at a byte, an odd one half a byte in."""
    odd = places & 1
    byte = (places >> 1) * 3 + odd
    low, high = packed[byte].to(torch.int32), packed[byte + 1].to(torch.int32)
    return torch.where(odd == 1, low >> 4 | high << 4, low | (high & 15) << 8)


def _gathered_sidecar(positions: Tensor, columns: int, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Where outliers go in the flat gathered rows, and which entry of the sidecar goes there."""
    positions = positions.to(torch.int64)
    first = torch.searchsorted(positions, ids * columns)
    count = torch.searchsorted(positions, (ids + 1) * columns) - first
    row = torch.repeat_interleave(torch.arange(len(ids), device=ids.device), count)
    within = torch.arange(len(row), device=ids.device) - (count.cumsum(0) - count)[row]
    entries = first[row] + within
    return row * columns + positions[entries] - ids[row] * columns, entries
