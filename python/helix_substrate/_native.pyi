"""The compiled module. Addresses are those of C-contiguous arrays that the caller keeps alive.

Every function releases the interpreter while it works and may be called from several threads.
Errors are the classes of helix_substrate.errors.
"""

from collections.abc import Callable
from os import PathLike
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
        """Product: y (batch, rows) = x (batch, columns) @ weight.T + bias.

        dtype "F32", "F16" or "BF16" of both; precision "f32" (relative error at most 1e-5) or
        "bf16" (2e-3, faster); threads 0 is one per processor.
        """

    def multiply_transposed(self, g: int, y: int, batch: int, dtype: str, threads: int = 0) -> None:
        """Gradient: y (batch, columns) = g (batch, rows) @ weight, in F32 arithmetic."""

    def embed(self, ids: int, count: int, y: int, dtype: str, threads: int = 0) -> None:
        """Lookup: y (count, columns) = the rows that `count` int64 `ids` name.

        An id out of range is an InvalidArgumentError.
        """

    def decode(
        self, y: int, dtype: str, row_begin: int = 0, row_end: int | None = None, threads: int = 0
    ) -> None:
        """Dense: y (row_end - row_begin, columns) = these rows of the dense matrix."""

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

def largest_outlier_count(outliers: str | int | float, weight_count: int) -> int:
    """The most outliers that the option can give a matrix of `weight_count` weights."""

# Whole checkpoints. `options` are the keyword arguments of helix_substrate.compress() in full;
# `progress` is called as (stage, item, done, total, unit) and `log` as (level, message), from any
# thread. Ctrl-C cancels and raises KeyboardInterrupt.

_Progress = Callable[[str, str, int, int, str], object] | None
_Log = Callable[[str, str], object] | None

def compress(
    source: PathLike[str],
    destination: PathLike[str],
    options: dict[str, Any],
    progress: _Progress,
    log: _Log,
) -> str:
    """The receipt, as JSON."""

def plan(source: PathLike[str], options: dict[str, Any], log: _Log) -> list[dict[str, Any]]:
    """One row a tensor."""

def decompress(
    source: PathLike[str],
    destination: PathLike[str],
    *,
    dtype: str,
    copy_code: bool,
    force: bool,
    shard_bytes: int,
    threads: int,
    progress: _Progress,
    log: _Log,
) -> dict[str, Any]: ...
def inspect(folder: PathLike[str], log: _Log) -> dict[str, Any]: ...
def verify(
    folder: PathLike[str],
    against: PathLike[str] | str,
    threads: int,
    progress: _Progress,
    log: _Log,
) -> dict[str, Any]: ...

class Model:
    """A language model with its tokenizer; calls that compute follow one another."""

    def __init__(
        self,
        folder: PathLike[str],
        threads: int,
        precision: str,
        context_length: int,
        log: _Log,
    ) -> None: ...
    @property
    def has_chat_template(self) -> bool: ...
    def describe(self) -> dict[str, Any]: ...
    def encode(self, text: str, add_special_tokens: bool = True) -> NDArray[np.int32]: ...
    def decode(self, tokens: NDArray[np.int32], skip_special_tokens: bool = True) -> str: ...
    def generate_text(
        self, prompt: str, options: dict[str, Any], on_text: Callable[[str], bool] | None
    ) -> dict[str, Any]: ...
    def generate_tokens(
        self,
        prompt: NDArray[np.int32],
        options: dict[str, Any],
        on_text: Callable[[str], bool] | None,
    ) -> dict[str, Any]: ...
    def chat(
        self,
        messages: list[tuple[str, str]],
        options: dict[str, Any],
        on_text: Callable[[str], bool] | None,
    ) -> dict[str, Any]: ...
    def render_chat(self, messages: list[tuple[str, str]]) -> str: ...
    def logits(self, tokens: NDArray[np.int32], last_only: bool = False) -> NDArray[np.float32]: ...
    def evaluate(
        self,
        text: str,
        options: dict[str, Any],
        reference: Model | None,
        progress: _Progress,
        log: _Log,
    ) -> dict[str, Any]: ...
