"""Random codes of every kind the format has, and their dense matrix by the reference decoder."""

from __future__ import annotations

import numpy as np
import torch

from helix_substrate.reference_decoder import decode_parts
from helix_substrate.reference_safetensors import StoredTensor
from helix_substrate.torch import Codes

NAMES = {np.dtype(np.float32): "F32", np.dtype(np.uint8): "U8", np.dtype(np.uint16): "U16"}
NAMES |= {np.dtype(np.int16): "I16", np.dtype(np.int64): "I64", np.dtype(np.int32): "I32"}

# kind -> (entries, vector size, index dtype or "packed", extras)
KINDS = {
    "plain": (256, 1, np.uint8, ""),
    "sidecar": (256, 1, np.uint8, "sidecar"),
    "short codebook": (3, 1, np.uint8, "sidecar"),
    "pairs": (200, 2, np.uint8, "sidecar"),
    "vectors of 4": (64, 4, np.uint8, "sidecar narrow"),
    "12 bit": (500, 1, "packed", "sidecar"),
    "12 bit pairs": (4096, 2, "packed", "sidecar"),
    "12 bit short": (100, 2, "packed", ""),
    "u16": (4200, 1, np.uint16, "sidecar"),
    "u16 top bit": (40000, 1, np.uint16, ""),
    "i16": (700, 1, np.int16, "sidecar"),
    "i16 top bit": (40000, 1, np.int16, ""),
    "svd": (256, 1, np.uint8, "sidecar svd"),
    "scales": (256, 1, np.uint8, "sidecar scales"),
    "everything": (300, 2, "packed", "sidecar svd scales"),
}


def pack_12_bit(indices: np.ndarray) -> np.ndarray:
    a, b = indices.reshape(-1, 2).astype(np.uint32).T
    return np.stack([a & 0xFF, a >> 8 | (b & 15) << 4, b >> 4], 1).astype(np.uint8).reshape(-1)


def random_parts(kind: str, rows: int, columns: int, seed: int = 0) -> dict[str, np.ndarray]:
    entries, d, index, extras = KINDS[kind]
    random = np.random.default_rng([seed, rows, columns, *kind.encode()])
    book = random.standard_normal((entries, d) if d > 1 else entries).astype(np.float32) * 0.05
    indices = random.integers(0, entries, (rows, columns // d))
    packed = isinstance(index, str)
    stored = pack_12_bit(indices) if packed else indices.astype(np.uint16)
    if not packed:
        stored = stored.view(index) if index == np.int16 else stored.astype(index)
    parts = {"codebook": book, "indices": stored}
    if "sidecar" in extras:
        count = max(3, rows * columns // 40)
        places = np.sort(random.choice(rows * columns, count, replace=False))
        parts["sidecar_positions"] = places.astype(np.int32 if "narrow" in extras else np.int64)
        parts["sidecar_values"] = random.standard_normal(count).astype(np.float32)
    if "svd" in extras:
        parts["svd_U"] = random.standard_normal((rows, 4)).astype(np.float32) * 0.1
        parts["svd_s"] = np.array([0.5, 0.2, 0.1, 0.05], np.float32)
        parts["svd_Vt"] = random.standard_normal((4, columns)).astype(np.float32) * 0.1
    if "scales" in extras:
        parts["channel_scales"] = random.uniform(0.5, 2, columns).astype(np.float32)
    return parts


def random_codes(kind: str, rows: int, columns: int, seed: int = 0) -> Codes:
    return Codes.from_mapping(random_parts(kind, rows, columns, seed))


def dense_matrix(codes: Codes, rows: int, columns: int) -> torch.Tensor:
    """By the reference decoder, which shares no code with helix_substrate.torch: F32."""
    arrays = {
        part: tensor.numpy() for part, tensor in codes._asdict().items() if tensor is not None
    }
    stored = {part: StoredTensor(part, NAMES[array.dtype], array) for part, array in arrays.items()}
    return torch.from_numpy(np.array(decode_parts(stored, "m", (rows, columns))))


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    found, wanted = found.double(), wanted.double()
    return float((found.detach() - wanted.detach()).norm() / wanted.detach().norm())
