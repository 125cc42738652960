"""The tensors of one compressed matrix, as docs/format.md names them, and what must hold of them.

weight[r, c] = codebook[indices[r, c]]      (vectors: codebook[indices[r, c / d], c % d])
then a sidecar entry replaces its element, svd_U * svd_s @ svd_Vt is added, and every column is
divided by its channel scale. r is the output feature.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

MAX_VECTOR_SIZE = 256
INDEX_DTYPES = (torch.uint8, torch.uint16, torch.int16)
POSITION_DTYPES = (torch.int64, torch.int32)


class Codes(NamedTuple):
    """The stored tensors of a (rows, columns) matrix; None where the checkpoint has none."""

    codebook: Tensor  # F32 (k,) or (k, d)
    indices: Tensor  # U8, U16 or I16 (rows, columns / d), or U8 (bytes,) packed to 12 bits
    sidecar_positions: Tensor | None = None  # I64 (n,), ascending, row * columns + column
    sidecar_values: Tensor | None = None  # F32 (n,)
    svd_U: Tensor | None = None  # F32 (rows, r)  # noqa: N815
    svd_s: Tensor | None = None  # F32 (r,)
    svd_Vt: Tensor | None = None  # F32 (r, columns)  # noqa: N815
    channel_scales: Tensor | None = None  # F32 (columns,)

    @classmethod
    def from_mapping(cls, tensors: Mapping[str, Any]) -> Codes:
        """From arrays or tensors by name; other names are not looked at."""
        return cls(**{part: _tensor(tensors.get(part)) for part in cls._fields})

    @classmethod
    def from_compressed(cls, compressed: Any) -> Codes:
        """From an object with the parts as attributes, such as helix_substrate.CompressedTensor."""
        return cls.from_mapping({part: getattr(compressed, part, None) for part in cls._fields})

    @property
    def vector_size(self) -> int:
        return self.codebook.shape[1] if self.codebook.ndim == 2 else 1

    @property
    def packed(self) -> bool:
        """Whether two indices lie in three bytes."""
        return self.indices.ndim == 1

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self if part is not None)

    def __reduce__(self) -> tuple[Any, ...]:
        seen = self._replace(indices=as_picklable(self.indices))
        return _rebuild, (tuple(seen), self.indices.dtype)


PARTS = Codes._fields


def as_picklable(indices: Any) -> Any:
    """The same memory in a type that pickle can take: torch writes U16 and cannot read it."""
    wide = indices is not None and indices.dtype == torch.uint16
    return indices.view(torch.int16) if wide else indices


def _rebuild(parts: tuple[Any, ...], index_dtype: torch.dtype) -> Codes:
    codes = Codes(*parts)
    return codes._replace(indices=codes.indices.view(index_dtype))


def _tensor(array: Any) -> Any:
    if array is None or isinstance(array, Tensor):
        return array
    with warnings.catch_warnings():  # arrays of the codec are read-only, and nothing writes here
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)


def corrupt(message: str) -> Exception:
    """The package's error for codes that break the format."""
    from helix_substrate import errors

    return errors.CorruptDataError(message)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise corrupt(message)


def check_layout(codes: Codes, rows: int, columns: int) -> None:
    """Shapes and dtypes; reads no content, so tensors may lie on the meta device."""
    book, where = codes.codebook, f"codes of a {rows} x {columns} matrix"
    _require(codes.indices is not None and book is not None, f"{where}: a part is missing")
    _require(book.dtype == torch.float32, f"{where}: codebook {book.dtype}, expected float32")
    valid = book.ndim in (1, 2) and len(book) > 0 and 0 < codes.vector_size <= MAX_VECTOR_SIZE
    _require(valid, f"{where}: codebook of shape {list(book.shape)}")
    _check_indices_layout(codes, rows, columns, where)
    _check_sidecar_layout(codes, where)
    _check_low_rank_layout(codes, rows, columns, where)
    if codes.channel_scales is not None:
        _check_floats(codes.channel_scales, "channel_scales", (columns,), where)


def _check_indices_layout(codes: Codes, rows: int, columns: int, where: str) -> None:
    indices, d = codes.indices, codes.vector_size
    found = f"{where}: indices {indices.dtype} {list(indices.shape)}, vectors of {d}"
    _require(indices.dtype in INDEX_DTYPES and columns % d == 0, found)
    if not codes.packed:
        _require(tuple(indices.shape) == (rows, columns // d), found)
        return
    count = rows * (columns // d)
    fits = count % 2 == 0 and len(indices) == count // 2 * 3
    _require(indices.dtype == torch.uint8 and fits, found)


def _check_sidecar_layout(codes: Codes, where: str) -> None:
    positions, values = codes.sidecar_positions, codes.sidecar_values
    _require((positions is None) == (values is None), f"{where}: half of a sidecar")
    if positions is None or values is None:
        return
    _require(positions.dtype in POSITION_DTYPES, f"{where}: positions of {positions.dtype}")
    _check_floats(values, "sidecar_values", (positions.numel(),), where)
    _require(positions.ndim == 1, f"{where}: positions of shape {list(positions.shape)}")


def _check_low_rank_layout(codes: Codes, rows: int, columns: int, where: str) -> None:
    u, s, vt = codes.svd_U, codes.svd_s, codes.svd_Vt
    _require((u is None) == (s is None) == (vt is None), f"{where}: part of an SVD")
    if u is None or s is None or vt is None:
        return
    _check_floats(s, "svd_s", (s.numel(),), where)
    _check_floats(u, "svd_U", (rows, s.numel()), where)
    _check_floats(vt, "svd_Vt", (s.numel(), columns), where)


def _check_floats(tensor: Tensor, part: str, shape: tuple[int, ...], where: str) -> None:
    found = f"{where}: {part} {tensor.dtype} {list(tensor.shape)}, expected float32 {list(shape)}"
    _require(tensor.dtype == torch.float32 and tuple(tensor.shape) == shape, found)


def check_contents(codes: Codes, rows: int, columns: int) -> None:
    """What `check_layout` cannot see: indices and positions in range, every number finite."""
    where = f"codes of a {rows} x {columns} matrix"
    for part, tensor in zip(PARTS, codes, strict=True):
        if tensor is not None and tensor.is_floating_point():
            _require(bool(tensor.isfinite().all()), f"{where}: {part}: a value is not finite")
    if codes.channel_scales is not None:
        _require(bool((codes.channel_scales != 0).all()), f"{where}: a channel scale is zero")
    if codes.sidecar_positions is not None:
        _check_positions(codes.sidecar_positions, rows * columns, where)
    largest, entries = _largest_index(codes), len(codes.codebook)
    _require(largest < entries, f"{where}: index {largest} into a codebook of {entries} entries")


def _check_positions(positions: Tensor, size: int, where: str) -> None:
    ascending = bool((positions[1:] > positions[:-1]).all())
    _require(ascending, f"{where}: sidecar positions are not strictly ascending")
    if len(positions):
        inside = int(positions[0]) >= 0 and int(positions[-1]) < size
        _require(inside, f"{where}: a sidecar position lies outside the {size} weights")


def _largest_index(codes: Codes) -> int:
    indices = codes.indices
    full = 4096 if codes.packed else 256 if indices.dtype == torch.uint8 else 65536
    if len(codes.codebook) >= full or indices.numel() == 0:
        return 0
    if not codes.packed:
        return int(indices.max()) if indices.dtype == torch.uint8 else _largest_wide(indices)
    first, middle, last = indices.view(-1, 3).to(torch.int32).unbind(1)
    return int(torch.maximum(first | (middle & 15) << 8, middle >> 4 | last << 4).max())


def _largest_wide(indices: Tensor) -> int:
    return max(int((row.to(torch.int32) & 0xFFFF).max()) for row in indices.split(256))
