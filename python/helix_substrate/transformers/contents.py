"""Checks of what headers do not show, made before anything is loaded.

Codebooks, sidecars and the like are read; indices only where the codebook is shorter than what
they can count to, so that every index might not be inside.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from safetensors import safe_open

from helix_substrate.errors import CorruptDataError
from helix_substrate.torch.codes import Codes, check_contents
from helix_substrate.transformers.layout import Layout, StoredModule, StoredTensor

DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "I64": torch.int64}
DTYPES |= {"BF16": torch.bfloat16, "I32": torch.int32, "I16": torch.int16, "U8": torch.uint8}
DTYPES |= {"U16": torch.uint16}


class PartReader:
    """Reads single tensors; each file stays open until `close`."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._files: dict[str, Any] = {}

    def __enter__(self) -> PartReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, tensor: StoredTensor) -> torch.Tensor:
        if tensor.file not in self._files:
            opened = self._stack.enter_context(safe_open(tensor.file, framework="pt"))
            self._files[tensor.file] = opened
        return self._files[tensor.file].get_tensor(tensor.key)

    def codes(self, module: StoredModule, with_indices: bool = True) -> Codes:
        """The parts of a module; indices on the meta device where they are not wanted."""
        parts = {part: tensor for part, tensor in module.parts.items() if part != "indices"}
        values = {part: self.read(tensor) for part, tensor in parts.items()}
        if "sidecar_indices" in values:
            values["sidecar_positions"] = values.pop("sidecar_indices")
        indices = module.parts["indices"]
        if with_indices:
            values["indices"] = self.read(indices)
        else:
            dtype = DTYPES[indices.dtype]
            values["indices"] = torch.empty(indices.shape, dtype=dtype, device="meta")
        return Codes.from_mapping(values)


def needs_indices(module: StoredModule) -> bool:
    """Whether an index could lie outside the codebook."""
    indices, entries = module.parts["indices"], module.parts["codebook"].shape[0]
    largest = 4096 if module.is_packed else 256 if indices.dtype == "U8" else 65536
    return entries < largest


def check_all_contents(layout: Layout, shapes: dict[str, tuple[int, int]]) -> None:
    """Checks the modules named by `shapes` (dense shapes). Raises CorruptDataError."""
    with PartReader() as reader:
        for name, shape in shapes.items():
            module = layout.modules[name]
            try:
                check_contents(reader.codes(module, needs_indices(module)), *shape)
            except CorruptDataError as error:
                raise CorruptDataError(
                    f"{module.parts['codebook'].file}: {name}: {error}"
                ) from error
