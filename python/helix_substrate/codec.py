"""Single arrays to codes and back, and products with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from helix_substrate import _native
from helix_substrate.errors import InvalidArgumentError, UnsupportedError

# numpy has no bfloat16 of its own; ml_dtypes' is known by its name.
_DTYPE_NAMES = {"float16": "F16", "float32": "F32", "float64": "F64", "bfloat16": "BF16"}
_INDEX_DTYPES = (np.uint8, np.uint16, np.int16)
_FLOAT_PARTS = ("codebook", "sidecar_values", "channel_scales", "svd_U", "svd_s", "svd_Vt")
_SVD_PARTS = ("svd_U", "svd_s", "svd_Vt")
PARTS = ("indices", "sidecar_positions", *_FLOAT_PARTS)


@dataclass(frozen=True)
class Metrics:
    """What the codes do to a matrix W, measured on what is stored: decode(encode(W)) against W."""

    snr_db: float
    """10 log10(|W|^2 / |W - decoded|^2), decibels; infinite where there is no error."""
    relative_squared_error: float
    cosine: float
    max_error: float
    bits_per_weight: float
    """All stored parts together."""
    weight_count: int
    outlier_count: int
    stored_bytes: int


class CompressedTensor:
    """A (rows, columns) matrix as the checkpoint stores it (docs/format.md).

    Immutable, and safe to use from several threads. Attributes are numpy arrays, None where the
    matrix has no such part:

    * codebook: float32 (k,), or (k, d) where an index stands for d weights of a row
    * indices: uint8 or uint16 (rows, columns / d), or uint8 (bytes,) for 12-bit indices in pairs
    * sidecar_positions: int64 (n,), ascending flat positions; sidecar_values: float32 (n,)
    * channel_scales: float32 (columns,): the stored matrix is the true one times these
    * svd_U, svd_s, svd_Vt: float32; only in files of earlier software

    metrics: what encode() measured; None where the tensor came from stored parts.
    """

    def __init__(
        self, parts: Mapping[str, ArrayLike], shape: tuple[int, int], metrics: Metrics | None = None
    ) -> None:
        """From arrays named as in a checkpoint; CorruptDataError where they break the format."""
        unknown = sorted(set(parts) - set(PARTS))
        if unknown:
            raise InvalidArgumentError(f"unknown parts {unknown}, expected some of {PARTS}")
        for part in ("codebook", "indices"):
            if part not in parts:
                raise InvalidArgumentError(f"{part} is missing")
        rows, columns = shape
        self.shape = (int(rows), int(columns))
        self.metrics = metrics
        # Views: what becomes read-only is ours, not the caller's.
        arrays = {name: np.ascontiguousarray(array).view() for name, array in parts.items()}
        for name in _FLOAT_PARTS:
            if name in arrays:
                arrays[name] = arrays[name].astype(np.float32, copy=False)
        if arrays["indices"].dtype not in _INDEX_DTYPES:
            raise InvalidArgumentError(
                f"indices of {arrays['indices'].dtype}, expected uint8 or uint16"
            )
        for array in arrays.values():
            array.flags.writeable = False
        self._arrays: dict[str, NDArray[Any]] = arrays
        _ = self._matrix  # checks the parts

    def __getattr__(self, name: str) -> NDArray[Any] | None:
        if name in PARTS:
            return self._arrays.get(name)
        raise AttributeError(f"CompressedTensor has no attribute {name!r}")

    def __repr__(self) -> str:
        rows, columns = self.shape
        return (
            f"CompressedTensor({rows} x {columns}, {len(self._arrays['codebook'])} levels, "
            f"{8 * self.nbytes / (rows * columns):.3f} bits per weight)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return CompressedTensor, (self._arrays, self.shape, self.metrics)

    @property
    def nbytes(self) -> int:
        """Bytes of all stored parts."""
        return sum(array.nbytes for array in self._arrays.values())

    @property
    def parts(self) -> dict[str, NDArray[Any]]:
        """The parts that are there, by their names in a checkpoint."""
        return dict(self._arrays)

    def decode(self, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """The dense matrix, (rows, columns); `dtype` float32 or float16."""
        name = _dtype_name(np.dtype(dtype), ("F32", "F16", "BF16"))
        dense = np.empty(self.shape, dtype)
        self._matrix.decode(dense.ctypes.data, name)
        return dense

    def rows(self, ids: ArrayLike) -> NDArray[np.float32]:
        """The rows that `ids` (any shape) name, as an embedding does: ids.shape + (columns,)."""
        wanted = np.asarray(ids)
        if wanted.size > 0 and wanted.dtype.kind not in "iu":
            raise InvalidArgumentError(f"ids of {wanted.dtype}, expected integers")
        wanted = np.asarray(wanted, np.int64, order="C")
        found = np.empty((*wanted.shape, self.shape[1]), np.float32)
        self._matrix.embed(wanted.ctypes.data, wanted.size, found.ctypes.data, "F32")
        return found

    def matmul(
        self, x: ArrayLike, *, precision: str = "f32", transposed: bool = False, threads: int = 0
    ) -> NDArray[Any]:
        """Product x @ W.T, as a linear layer does, straight from the codes; x (..., columns).

        transposed: x @ W instead, x (..., rows), always in F32 arithmetic. precision: "f32"
        (relative error at most 1e-5) or "bf16" (2e-3, faster). The result (..., rows) has the
        dtype of x where that is float16 or float32, else float32. threads 0: one per processor.
        """
        given = np.asarray(x)
        if _DTYPE_NAMES.get(given.dtype.name) not in ("F32", "F16", "BF16"):
            given = given.astype(np.float32)
        given = np.ascontiguousarray(given)
        inner, outer = self.shape if transposed else self.shape[::-1]
        if given.ndim == 0 or given.shape[-1] != inner:
            raise InvalidArgumentError(f"x of shape {given.shape}, expected (..., {inner})")
        y = np.empty((*given.shape[:-1], outer), given.dtype)
        batch = y.size // outer
        dtype = _DTYPE_NAMES[given.dtype.name]
        if transposed:
            self._matrix.multiply_transposed(
                given.ctypes.data, y.ctypes.data, batch, dtype, threads
            )
        else:
            self._matrix.multiply(
                given.ctypes.data, y.ctypes.data, batch, dtype, precision, threads
            )
        return y

    @cached_property
    def _matrix(self) -> _native.Matrix:
        arrays = self._arrays
        present = [name for name in _SVD_PARTS if name in arrays]
        if present and len(present) < len(_SVD_PARTS):
            raise InvalidArgumentError(f"only {present} of the low-rank part")
        return _native.Matrix(
            *self.shape,
            arrays["codebook"],
            arrays["indices"],
            arrays.get("sidecar_positions"),
            arrays.get("sidecar_values"),
            svd=tuple(arrays[name] for name in _SVD_PARTS) if present else None,  # type: ignore[arg-type]
            channel_scales=arrays.get("channel_scales"),
        )


def encode(
    array: ArrayLike,
    *,
    codebook_size: int = 256,
    outliers: str | int | float = "auto",
    column_scales: str = "auto",
) -> CompressedTensor:
    """The codes of a 2-D float array (output, input features): the optimum, not an iteration.

    codebook_size: levels, 2 to 4096; more than 256 cost 12 bits per weight. outliers: weights that
    are kept exactly, 12 bytes each: "auto", "none", a count (int) or a share (float, 0.0005).
    column_scales: "auto" or "none". The same array gives the same codes on every machine.

    Raises InvalidArgumentError for another rank or an option out of range, UnsupportedError for a
    dtype that is no float and for an element that is not finite, which is named.
    """
    given = np.ascontiguousarray(array)
    if given.ndim != 2:
        raise InvalidArgumentError(f"array of shape {given.shape}, expected two dimensions")
    dtype = _dtype_name(given.dtype, tuple(_DTYPE_NAMES.values()))
    rows, columns = given.shape
    parts = _native.encode(
        given.ctypes.data,
        dtype,
        rows,
        columns,
        codebook_size=codebook_size,
        outliers=outliers,
        column_scales=column_scales,
    )
    metrics = Metrics(**parts.pop("metrics"))
    return CompressedTensor(parts, (rows, columns), metrics)


def _dtype_name(dtype: np.dtype[Any], allowed: tuple[str, ...]) -> str:
    name = _DTYPE_NAMES.get(dtype.name)
    if name not in allowed:
        known = [numpy for numpy, ours in _DTYPE_NAMES.items() if ours in allowed]
        raise UnsupportedError(f"dtype {dtype}, expected one of {known}")
    return name
