"""Writes Hugging Face model folders: safetensors files, their index, JSON; all or nothing.

Shared by the other tools of this folder. Needs numpy only.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U16": 2, "U8": 1}


@dataclass(frozen=True)
class TensorSource:
    """A tensor to be written. `chunks` yields its elements in C order, in arrays of any length.

    BF16 elements are given as their bits in uint16 arrays (see `bfloat16_bits`).
    """

    name: str
    dtype: str  # a key of ITEM_BYTES
    shape: tuple[int, ...]
    chunks: Callable[[], Iterable[np.ndarray]]

    @property
    def byte_count(self) -> int:
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]


def tensor_from_array(name: str, array: np.ndarray, dtype: str) -> TensorSource:
    """`array` (floats) as `dtype`: "BF16", "F16", "F32" or "F64"; integers keep their own type."""
    convert: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "BF16": bfloat16_bits,
        "F16": lambda values: values.astype(np.float16),
        "F32": lambda values: values.astype(np.float32),
        "F64": lambda values: values.astype(np.float64),
        "I64": lambda values: values.astype(np.int64),
    }
    return TensorSource(name, dtype, array.shape, lambda: [convert[dtype](array)])


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """F32 values rounded to the nearest BF16, ties to even, as uint16 bits. NaN stays NaN."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> 16
    quiet_nan = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet_nan, rounded).astype(np.uint16)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Gives an empty sibling of `target` to fill, and renames it to `target` at the end.

    On an exception the sibling is removed and `target` does not appear. Raises FileExistsError
    where `target` exists and is not an empty folder.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists and is not an empty folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    sibling = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield sibling
        sibling.chmod(0o755)  # mkdtemp makes it private
        if target.exists():
            target.rmdir()
        sibling.rename(target)
    except BaseException:
        shutil.rmtree(sibling, ignore_errors=True)
        raise


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_safetensors(
    path: Path, tensors: Sequence[TensorSource], metadata: dict[str, str] | None = None
) -> None:
    """Writes the tensors in the order given, one chunk in memory at a time.

    The header is padded with spaces to a multiple of eight bytes; `metadata` is {"format": "pt"}
    unless given, and left out where it is empty. Raises ValueError for chunks that do not add up
    to the tensor's size and for a name used twice.
    """
    header: dict[str, Any] = {}
    if metadata is None or metadata:
        header["__metadata__"] = metadata or {"format": "pt"}
    offset = 0
    for tensor in tensors:
        if tensor.name in header:
            raise ValueError(f"tensor {tensor.name} occurs twice")
        span = [offset, offset + tensor.byte_count]
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": span,
        }
        offset = span[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            written = sum(file.write(_bytes_of(chunk)) for chunk in tensor.chunks())
            if written != tensor.byte_count:
                raise ValueError(f"{tensor.name}: {written} bytes, expected {tensor.byte_count}")
        file.flush()
        os.fsync(file.fileno())


def write_checkpoint(folder: Path, tensors: Sequence[TensorSource], shard_bytes: int) -> None:
    """Writes model.safetensors, or shards of at most `shard_bytes` of data with their index.

    A tensor larger than `shard_bytes` gets a shard of its own.
    """
    shards = _split_into_shards(tensors, shard_bytes)
    if len(shards) == 1:
        write_safetensors(folder / "model.safetensors", shards[0])
        return
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / name, shard)
        weight_map.update({tensor.name: name for tensor in shard})
    total = sum(tensor.byte_count for tensor in tensors)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    write_json(folder / "model.safetensors.index.json", index)


def _split_into_shards(
    tensors: Sequence[TensorSource], shard_bytes: int
) -> list[list[TensorSource]]:
    shards: list[list[TensorSource]] = [[]]
    filled = 0
    for tensor in tensors:
        if shards[-1] and filled + tensor.byte_count > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(tensor)
        filled += tensor.byte_count
    return shards


def _bytes_of(chunk: np.ndarray) -> memoryview:
    little_endian = np.ascontiguousarray(chunk, dtype=chunk.dtype.newbyteorder("<"))
    return memoryview(little_endian.reshape(-1).view(np.uint8))
