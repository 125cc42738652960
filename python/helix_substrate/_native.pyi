"""The compiled module. Addresses are those of C-contiguous arrays that the caller keeps alive.

Every function releases the interpreter while it works and may be called from several threads.
Errors are the classes of helix_substrate.errors.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

version: str

class Matrix:
    """A compressed (rows, columns) matrix made ready for products; immutable."""

    def __init__(
        self,
        rows: int,
        columns: int,
        codebook: NDArray[np.float32],
        indices: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.int16],
        sidecar_positions: NDArray[np.int64] | NDArray[np.int32] | None = None,
        sidecar_values: NDArray[np.float32] | None = None,
        svd: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None = None,
        channel_scales: NDArray[np.float32] | None = None,
        bias: NDArray[np.float32] | None = None,
        validate: bool = True,
    ) -> None:
        """From the arrays of a checkpoint (docs/format.md).

        codebook (k,) or (k, d); indices (rows, columns / d), or one-dimensional U8 for indices
        packed to 12 bits. `indices` is borrowed, the rest copied. With `validate` everything is
        checked, and CorruptDataError says what is wrong; without, the caller vouches for it.
        """

    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...
    def multiply(
        self, x: int, y: int, batch: int, dtype: str, precision: str = "bf16", threads: int = 0
    ) -> None:
        """y (batch, rows) = x (batch, columns) @ weight.T + bias.

        dtype "F32", "F16" or "BF16" of both; precision "f32" (relative error at most 1e-5) or
        "bf16" (2e-3, faster); threads 0 is one per processor.
        """

    def multiply_transposed(self, g: int, y: int, batch: int, dtype: str, threads: int = 0) -> None:
        """y (batch, columns) = g (batch, rows) @ weight, in F32 arithmetic."""

    def embed(self, ids: int, count: int, y: int, dtype: str, threads: int = 0) -> None:
        """y (count, columns) = the rows that `count` int64 `ids` name.

        An id out of range is an InvalidArgumentError.
        """

    def decode(
        self, y: int, dtype: str, row_begin: int = 0, row_end: int | None = None, threads: int = 0
    ) -> None:
        """y (row_end - row_begin, columns) = these rows of the dense matrix."""

def encode(
    address: int,
    dtype: str,
    rows: int,
    columns: int,
    *,
    codebook_size: int = 256,
    outliers: str | int | float = "auto",
    column_scales: str = "auto",
) -> dict[str, Any]:
    """The (rows, columns) array of F32, F16, BF16 or F64 at `address` as the checkpoint stores it.

    Keys: codebook, indices and, where there are any, sidecar_positions, sidecar_values and
    channel_scales: numpy arrays. And metrics: a dict of what the codes do to the array.
    """
