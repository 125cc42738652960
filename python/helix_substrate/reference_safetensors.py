"""Reads safetensors files and their shard index for the reference decoder: numpy and nothing else.

One class of error, FormatError, for every file that docs/format.md says to refuse.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MAX_HEADER_BYTES = 100_000_000
DTYPES = {
    **{"BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4"},
    **{"I32": "<i4", "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8"},
    **{"BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1"},  # bits; numpy has no such types
}


class FormatError(ValueError):
    """The checkpoint breaks a rule of docs/format.md; the message names the place and the fault."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise FormatError(message)


@dataclass(frozen=True)
class StoredTensor:
    where: str  # file and name, for messages
    dtype: str
    data: np.ndarray  # of DTYPES[dtype], in the tensor's shape, mapped from the file


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    require(len(result) == len(pairs), "a JSON object has the same key twice")
    return result


def _parse_json(text: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_unique_object)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where}: {error}") from error
    require(isinstance(value, dict), f"{where}: expected a JSON object")
    return value


def read_json(path: Path) -> dict[str, Any]:
    require(path.is_file(), f"{path}: no such file")
    return _parse_json(path.read_bytes(), str(path))


def _sizes(entry: Any, key: str, where: str) -> list[int]:
    sizes = entry.get(key) if isinstance(entry, dict) else None
    valid = isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)
    require(valid, f"{where}: {key} is {sizes!r}, expected a list of sizes")
    return sizes


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file, mapped, not copied. Raises FormatError."""
    file_bytes = path.stat().st_size
    require(file_bytes >= 8, f"{path}: {file_bytes} bytes, too short for a safetensors file")
    content = np.memmap(path, np.uint8, "r")
    header_bytes = int.from_bytes(content[:8].tobytes(), "little")
    require(header_bytes <= MAX_HEADER_BYTES, f"{path}: header of {header_bytes} bytes")
    require(header_bytes <= file_bytes - 8, f"{path}: header of {header_bytes} bytes is truncated")
    header = _parse_json(content[8 : 8 + header_bytes].tobytes(), f"{path}: header")
    metadata = header.pop("__metadata__", {})
    strings = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    require(strings, f"{path}: __metadata__ is not an object of strings")
    data = content[8 + header_bytes :]
    spans, tensors = [], {}
    for name, entry in header.items():
        tensors[name], span = _read_entry(entry, data, f"{path}: tensor {name}")
        spans.append((*span, name))
    end = 0
    for begin, next_begin, name in sorted(spans):
        fault = "overlaps its neighbour" if begin < end else "leaves a gap before it"
        require(begin == end, f"{path}: tensor {name} {fault}")
        end = next_begin
    require(end == len(data), f"{path}: {len(data) - end} bytes after the last tensor")
    return tensors


def _read_entry(entry: Any, data: np.ndarray, where: str) -> tuple[StoredTensor, list[int]]:
    dtype = entry.get("dtype") if isinstance(entry, dict) else None
    require(isinstance(dtype, str) and dtype in DTYPES, f"{where}: unknown dtype {dtype!r}")
    shape, span = _sizes(entry, "shape", where), _sizes(entry, "data_offsets", where)
    expected = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    require(expected < 2**64, f"{where}: shape {shape} overflows 64 bits")
    require(len(span) == 2 and span[0] <= span[1], f"{where}: data_offsets are {span}")
    require(span[1] - span[0] == expected, f"{where}: offsets {span} for {expected} bytes")
    require(span[1] <= len(data), f"{where}: ends at {span[1]} of {len(data)} bytes of data")
    values = data[span[0] : span[1]].view(DTYPES[dtype]).reshape(shape)
    return StoredTensor(where, dtype, values), span


def read_tensors(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of model.safetensors, or of the shards that its index names."""
    index = folder / "model.safetensors.index.json"
    single = folder / "model.safetensors"
    if single.is_file() or not index.is_file():
        require(single.is_file(), f"{folder}: neither {single.name} nor {index.name}")
        return read_safetensors(single)
    weight_map = read_json(index).get("weight_map")
    require(isinstance(weight_map, dict), f"{index}: weight_map is not an object")
    shards: dict[str, dict[str, StoredTensor]] = {}
    tensors = {}
    for name, shard in weight_map.items():
        inside = isinstance(shard, str) and shard not in ("", ".", "..")
        inside = inside and not any(mark in shard for mark in "/\\\0")
        require(inside, f"{index}: {shard!r} is not the name of a file in the folder")
        if shard not in shards:
            require((folder / shard).is_file(), f"{index}: shard {shard} is absent")
            shards[shard] = read_safetensors(folder / shard)
        require(name in shards[shard], f"{index}: tensor {name} is not in {shard}")
        tensors[name] = shards[shard][name]
    return tensors


def as_floats(tensor: StoredTensor) -> np.ndarray:
    """An exact tensor in F32; integers and booleans as they are."""
    require(not tensor.dtype.startswith("F8"), f"{tensor.where}: {tensor.dtype} is not read")
    if tensor.dtype == "BF16":
        return (tensor.data.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return tensor.data.astype(np.float32) if tensor.dtype[0] == "F" else np.array(tensor.data)
