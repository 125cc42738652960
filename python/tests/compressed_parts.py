"""Made-up compressed matrices, and what they mean: docs/format.md in numpy, without our code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def pack_12_bit(indices: Array) -> Array:
    """Pairs (a, b): a & 0xff, (a >> 8) | ((b & 0xf) << 4), b >> 4."""
    a, b = indices.reshape(-1, 2).astype(np.uint16).T
    return np.stack([a & 255, (a >> 8) | ((b & 15) << 4), b >> 4], axis=1).astype(np.uint8).ravel()


@dataclass
class Parts:
    """The arrays of a matrix, and the dense matrix they stand for (F64)."""

    rows: int
    columns: int
    codebook: Array
    stored_indices: Array
    dense: Array
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def by_name(self) -> dict[str, Array]:
        """As a checkpoint names them."""
        others = dict(self.others)
        svd = others.pop("svd", None)
        named = {} if svd is None else dict(zip(("svd_U", "svd_s", "svd_Vt"), svd, strict=True))
        return {"codebook": self.codebook, "indices": self.stored_indices, **others, **named}


def make_parts(
    rows: int,
    columns: int,
    *,
    layout: str = "u8",
    k: int = 256,
    d: int = 1,
    outliers: int = 0,
    scales: bool = False,
    rank: int = 0,
    seed: int = 0,
) -> Parts:
    """Gaussian values in a layout: "u8", "u16", "i16" or "packed"."""
    rng = np.random.default_rng(seed)
    codebook = np.sort(rng.standard_normal((k, d)).astype(np.float32), axis=0)
    indices = rng.integers(0, k, (rows, columns // d))
    dense = codebook[indices].reshape(rows, columns).astype(np.float64)
    others: dict[str, Any] = {}
    if outliers:
        positions = np.sort(rng.choice(rows * columns, outliers, replace=False)).astype(np.int64)
        values = (8 * rng.standard_normal(outliers)).astype(np.float32)
        dense.ravel()[positions] = values
        others |= {"sidecar_positions": positions, "sidecar_values": values}
    if rank:
        u, s, vt = (
            rng.standard_normal(shape).astype(np.float32)
            for shape in ((rows, rank), (rank,), (rank, columns))
        )
        dense += (u.astype(np.float64) * s) @ vt.astype(np.float64)
        others["svd"] = (u, s, vt)
    if scales:
        others["channel_scales"] = np.exp(rng.standard_normal(columns)).astype(np.float32)
        dense /= others["channel_scales"]
    stored = {
        "u8": lambda: indices.astype(np.uint8),
        "u16": lambda: indices.astype(np.uint16),
        "i16": lambda: indices.astype(np.uint16).view(np.int16),
        "packed": lambda: pack_12_bit(indices),
    }[layout]()
    return Parts(
        rows, columns, codebook[:, 0].copy() if d == 1 else codebook, stored, dense, others
    )


def relative_error(found: Array, expected: Array) -> float:
    """||found - expected|| / ||expected||."""
    return float(np.linalg.norm(found.astype(np.float64) - expected) / np.linalg.norm(expected))
