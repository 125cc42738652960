"""Compressed matrices made ready for products by the compiled module, remembered per tensors.

An entry lives as long as the `indices` tensor it was made from. It is made anew when any of the
tensors is another object, has other memory, or was written to in place: autograd's version counter
tells. Tensors made in inference mode have none, and writes through `.data` are not counted: replace
such a tensor, or call `forget`.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import torch
from torch import Tensor

from helix_substrate.torch.codes import Codes, check_contents, check_layout

try:
    from helix_substrate import _native as native
except ImportError:  # a source tree that is not built
    native = None

_entries: dict[int, _Entry] = {}  # by id of the indices tensor
_making = threading.Lock()


class _Expiry:
    """Called when the indices of an entry are gone."""

    def __init__(self, key: int) -> None:
        self.key = key

    def __call__(self, life: weakref.ref[Tensor]) -> None:
        entry = _entries.get(self.key)
        if entry is not None and entry.life is life:
            _entries.pop(self.key, None)


class _Entry:
    """What was made ready, and the tensors (by weak reference) that it stands for."""

    def __init__(self, codes: Codes, bias: Tensor | None, matrix: Any) -> None:
        self.matrix = matrix  # the compiled module's Matrix; None on other devices
        self.life = weakref.ref(codes.indices, _Expiry(id(codes.indices)))
        self.codes = [_Seen(tensor) if tensor is not None else None for tensor in codes]
        self.bias = None if bias is None else _Seen(bias)

    def stands_for(self, codes: Codes, bias: Tensor | None) -> bool:
        seen = self.bias
        same = bias is None if seen is None else bias is not None and seen.is_still(bias)
        return same and self.has_codes(codes)

    def has_codes(self, codes: Codes) -> bool:
        for tensor, seen in zip(codes, self.codes, strict=True):
            if tensor is None or seen is None:
                if tensor is not seen:
                    return False
            elif not seen.is_still(tensor):
                return False
        return True


class _Seen:
    """A tensor object, where its memory was, and how often it had been written to."""

    __slots__ = ("address", "reference", "version")

    def __init__(self, tensor: Tensor) -> None:
        self.reference = weakref.ref(tensor)
        self.address = tensor.data_ptr()
        self.version = None if tensor.is_inference() else tensor._version

    def is_still(self, tensor: Tensor) -> bool:
        if self.reference() is not tensor or self.address != tensor.data_ptr():
            return False
        return self.version is None or self.version == tensor._version


def prepare(codes: Codes, bias: Tensor | None, rows: int, columns: int) -> Any:
    """The matrix with its bias, checked and ready; None where the compiled module has no path."""
    entry = _entries.get(id(codes.indices))
    if entry is None or not entry.stands_for(codes, bias):
        entry = _make(codes, bias, rows, columns)
    return entry.matrix


def prepare_any_bias(codes: Codes, rows: int, columns: int) -> Any:
    """As `prepare` for what needs no bias: one that was made ready for products will do."""
    entry = _entries.get(id(codes.indices))
    if entry is None or not entry.has_codes(codes):
        entry = _make(codes, None, rows, columns)
    return entry.matrix


def forget(indices: Tensor) -> None:
    """Drops what was made ready from these indices."""
    _entries.pop(id(indices), None)


def _make(codes: Codes, bias: Tensor | None, rows: int, columns: int) -> _Entry:
    with _making:
        key = id(codes.indices)
        known = _entries.get(key)
        if known is not None and known.stands_for(codes, bias):  # another thread was first
            return known
        if known is None or not known.has_codes(codes):
            check_layout(codes, rows, columns)
            check_contents(codes, rows, columns)
        entry = _Entry(codes, bias, _native_matrix(codes, bias, rows, columns))
        _entries[key] = entry
        return entry


def _native_matrix(codes: Codes, bias: Tensor | None, rows: int, columns: int) -> Any:
    if native is None or codes.codebook.device.type != "cpu":
        return None
    parts = {name: _array(tensor) for name, tensor in codes._asdict().items()}
    svd = (parts.pop("svd_U"), parts.pop("svd_s"), parts.pop("svd_Vt"))
    numbers = None if bias is None else _array(bias.to(torch.float32))
    return native.Matrix(
        rows,
        columns,
        **parts,
        svd=None if svd[0] is None else svd,
        bias=numbers,
        validate=False,
    )


def _array(tensor: Tensor | None) -> Any:
    """Its memory as numpy. Of a second tensor object, so that the first may end its life."""
    return None if tensor is None else tensor.detach().contiguous().numpy()
