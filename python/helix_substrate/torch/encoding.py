"""Dense tensors to codes, by the compiled codec."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from helix_substrate.torch.codes import Codes
from helix_substrate.torch.prepared import native

_DTYPES = {
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
}


def encode(dense: Tensor, **options: Any) -> tuple[Codes, dict[str, float]]:
    """Codes of a (rows, columns) matrix, on its device, and what they lose (snr_db, ...).

    The options are those of `helix_substrate.encode`: codebook_size, outliers, column_scales.
    """
    if native is None:
        raise RuntimeError("helix_substrate was not built: encoding needs its compiled module")
    if dense.ndim != 2:
        raise ValueError(f"a matrix of shape {list(dense.shape)} cannot be encoded, only 2-D ones")
    if dense.dtype not in _DTYPES:
        raise TypeError(f"a matrix of {dense.dtype} cannot be encoded, only floating point ones")
    source = dense.detach().to("cpu").contiguous()
    rows, columns = source.shape
    found = native.encode(source.data_ptr(), _DTYPES[source.dtype], rows, columns, **options)
    metrics = found.pop("metrics")
    codes = Codes.from_mapping(found)
    return Codes(*(None if part is None else part.to(dense.device) for part in codes)), metrics
