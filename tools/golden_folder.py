"""Model folders as bytes, valid or broken on purpose, for tools/make_hostile.py. Numpy only."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

Tensor = tuple[str, np.ndarray]  # dtype of the header, the values in that type's bits
Tensors = dict[str, Tensor]
Files = dict[str, bytes]

SINGLE, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
NUMPY_TYPES = {
    **{"F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": "<u2", "U8": "u1", "I8": "i1"},
    **{"U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "I64": "<i8", "BOOL": "u1"},
}
MODULE = "layers.0.proj"


def tensor(dtype: str, values: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    array = np.asarray(values, dtype=NUMPY_TYPES[dtype])
    return dtype, array if shape is None else array.reshape(shape)


def f32(values: Any, *shape: int) -> Tensor:
    return tensor("F32", values, shape or None)


def i64(values: Any) -> Tensor:
    return tensor("I64", values)


def pack_12_bit(indices: Any) -> Tensor:
    """Pairs of indices in three bytes, docs/format.md."""
    packed = []
    flat = [int(index) for index in np.ravel(indices)]
    for a, b in zip(flat[::2], flat[1::2], strict=True):
        packed += [a & 0xFF, (a >> 8) | ((b & 0xF) << 4), b >> 4]
    return tensor("U8", packed)


# The module that every case varies: a 4 x 6 matrix, five levels, two outliers.
BASE: dict[str, Tensor] = {
    "codebook": f32([-1.0, -0.25, 0.0, 0.5, 2.0]),
    "indices": tensor("U8", (np.arange(24) * 7 % 5), (4, 6)),
    "sidecar_positions": i64([3, 17]),
    "sidecar_values": f32([9.5, -7.0]),
}
NORM: Tensors = {"norm.weight": f32([1.0, 2.0, 3.0])}


def module(changes: dict[str, Tensor | None] | None = None, name: str = MODULE) -> Tensors:
    """The parts of one module; a change to None takes a part away."""
    parts = {**BASE, **(changes or {})}
    return {f"{name}.{part}": value for part, value in parts.items() if value is not None}


def header_entries(tensors: Tensors) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    end = 0
    for name, (dtype, array) in tensors.items():
        begin, end = end, end + array.nbytes
        entry = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
        entries[name] = entry
    return entries


def data_bytes(tensors: Tensors) -> bytes:
    return b"".join(np.ascontiguousarray(array).tobytes() for _, array in tensors.values())


def file_with_header(header: bytes | str | dict[str, Any], data: bytes = b"") -> bytes:
    if isinstance(header, dict):
        header = json.dumps(header)
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text)) + text + data


def safetensors(tensors: Tensors, metadata: dict[str, str] | None = None, spaces: int = 0) -> bytes:
    entries = header_entries(tensors)
    if metadata is not None:
        entries = {"__metadata__": metadata, **entries}
    return file_with_header(json.dumps(entries) + " " * spaces, data_bytes(tensors))


def config(quantization: Any = None, **fields: Any) -> bytes:
    """A config.json; `quantization` holds changes of its quantization_config."""
    section = {"quant_method": "hxq", "compressed_modules": [MODULE], **(quantization or {})}
    section = {key: value for key, value in section.items() if value is not ...}
    whole = {"model_type": "example", **fields, "quantization_config": section}
    return (json.dumps(whole, indent=2) + "\n").encode()


def folder(tensors: Tensors, quantization: Any = None, **fields: Any) -> Files:
    """One weight file, a norm beside what is given."""
    weights = safetensors({**tensors, **NORM}, {"format": "pt"})
    return {CONFIG: config(quantization, **fields), SINGLE: weights}


def shards(parts: dict[str, Tensors], weight_map: Any = None) -> Files:
    """Several weight files by name, and the index that tells what lies where."""
    files = {name: safetensors(tensors) for name, tensors in parts.items()}
    names = {key: shard for shard, tensors in parts.items() for key in tensors}
    index = {"metadata": {}, "weight_map": names if weight_map is None else weight_map}
    return {CONFIG: config(), INDEX: (json.dumps(index) + "\n").encode(), **files}
