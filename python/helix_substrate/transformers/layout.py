"""What the files of an HXQ checkpoint hold, known from their headers alone.

Nothing here knows a model: names are those of the files (docs/format.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open

from helix_substrate.errors import CorruptDataError

REQUIRED_PARTS = ("codebook", "indices")
POSITION_PARTS = ("sidecar_positions", "sidecar_indices")  # synonyms
SVD_PARTS = ("svd_U", "svd_s", "svd_Vt")
PARTS = (*REQUIRED_PARTS, *POSITION_PARTS, "sidecar_values", *SVD_PARTS, "channel_scales")
DERIVED_BUFFERS = ("codebook_f16", "_sidecar_rows", "_sidecar_cols", "_sidecar_deltas")
DERIVED_BUFFERS += ("_sidecar_vq_vals",)
BARE_PARAMETERS = ("A_log", "D", "dt_bias")
LARGEST_VECTOR = 256


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file, as its header describes it."""

    file: str
    key: str
    dtype: str  # as safetensors spells it: "F32", "U8", ...
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.file}: {self.key}"


@dataclass
class StoredModule:
    """The parts of one compressed module. `name` is its name in the files."""

    name: str
    parts: dict[str, StoredTensor] = field(default_factory=dict)

    @property
    def vector_size(self) -> int:
        shape = self.parts["codebook"].shape
        return shape[1] if len(shape) == 2 else 1

    @property
    def is_packed(self) -> bool:
        return len(self.parts["indices"].shape) == 1

    @property
    def positions(self) -> StoredTensor | None:
        return next((self.parts[part] for part in POSITION_PARTS if part in self.parts), None)

    def shape(self) -> tuple[int, int] | None:
        """The dense shape, which packed indices do not tell."""
        if self.is_packed:
            return None
        rows, columns = self.parts["indices"].shape
        return rows, columns * self.vector_size


class Layout:
    """The tensors of a checkpoint, sorted into compressed modules, exact and ignored ones.

    `modules` are the compressed modules whose codes count; `overruled` are those that the files
    hold as an exact tensor as well, which wins. Raises CorruptDataError for whatever the headers
    show to be wrong.
    """

    def __init__(self, files: Iterable[str], listed: Iterable[str] | None = None) -> None:
        self.tensors = read_headers(files)
        found = self._collect_modules()
        for name in listed or ():
            if name not in found:
                raise CorruptDataError(
                    f"{self._folder()}: {name} is listed in compressed_modules, but the files "
                    f"hold no part of it"
                )
        self.overruled = [name for name in found if self._exact_of(name) is not None]
        self.modules = {name: m for name, m in found.items() if name not in self.overruled}
        for module in self.modules.values():
            check_module(module)
        self.ignored = sorted(self._ignored_keys(found))
        part_keys = {f"{name}.{part}" for name in found for part in PARTS}
        self.exact = [key for key in self.tensors if key not in part_keys.union(self.ignored)]

    def dense_key(self, module: str) -> str:
        """The key of the dense matrix that the codes of `module` stand for."""
        is_bare = module in self.tensors or module.rpartition(".")[2] in BARE_PARAMETERS
        return module if is_bare else f"{module}.weight"

    def _collect_modules(self) -> dict[str, StoredModule]:
        modules: dict[str, StoredModule] = {}
        for key, tensor in self.tensors.items():
            name, _, part = key.rpartition(".")
            if name and part in PARTS:
                modules.setdefault(name, StoredModule(name)).parts[part] = tensor
        return modules

    def _exact_of(self, module: str) -> StoredTensor | None:
        tensor = self.tensors.get(self.dense_key(module))
        return tensor if tensor is not None and tensor.count > 0 else None

    def _ignored_keys(self, found: Mapping[str, StoredModule]) -> Iterator[str]:
        dense = {self.dense_key(name) for name in found}
        mangled = {name.replace("_", ".") for name in {*self.tensors, *dense} if "_" in name}
        for key, tensor in self.tensors.items():
            name, _, part = key.rpartition(".")
            is_empty = key in dense and tensor.count == 0
            is_derived = name in found and part in DERIVED_BUFFERS
            is_overruled = name in self.overruled and part in PARTS
            if is_empty or is_derived or is_overruled or key in mangled:
                yield key

    def _folder(self) -> str:
        files = sorted({tensor.file for tensor in self.tensors.values()})
        return str(Path(files[0]).parent) if files else "the checkpoint"


def read_headers(files: Iterable[str]) -> dict[str, StoredTensor]:
    """All tensors of the safetensors files. Raises CorruptDataError naming the file."""
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        try:
            with safe_open(file, framework="numpy") as opened:
                for key in opened.keys():  # noqa: SIM118 (no iterator)
                    part = opened.get_slice(key)
                    shape = tuple(part.get_shape())
                    tensors[key] = StoredTensor(str(file), key, part.get_dtype(), shape)
        except SafetensorError as error:
            raise CorruptDataError(f"{file}: {error}") from error
    return tensors


def require(condition: bool, tensor: StoredTensor | str, expected: str, found: object) -> None:
    """Raises CorruptDataError with the file, the tensor, what was expected and what was found."""
    if not condition:
        raise CorruptDataError(f"{tensor}: expected {expected}, found {found}")


def check_module(module: StoredModule) -> None:
    """Raises CorruptDataError where the headers of the parts do not fit each other."""
    parts = module.parts
    anchor = next(iter(parts.values()))
    where = f"{anchor.file}: {module.name}"
    for part in REQUIRED_PARTS:
        require(part in parts, where, f"a tensor {module.name}.{part}", "none")
    check_codebook(parts["codebook"])
    check_indices(module)
    check_sidecar(module, where)
    svd = [part for part in SVD_PARTS if part in parts]
    require(len(svd) in (0, 3), where, "all of svd_U, svd_s, svd_Vt or none", ", ".join(svd))
    if module.shape() is not None:
        check_extents(module, *module.shape())


def check_codebook(codebook: StoredTensor) -> None:
    shape = codebook.shape
    require(codebook.dtype == "F32", codebook, "dtype F32", codebook.dtype)
    require(len(shape) in (1, 2) and shape[0] > 0, codebook, "shape [k] or [k, d]", list(shape))
    if len(shape) == 2:
        require(0 < shape[1] <= LARGEST_VECTOR, codebook, "vectors of 1 to 256 weights", shape[1])


def check_indices(module: StoredModule) -> None:
    indices = module.parts["indices"]
    found = f"{indices.dtype} {list(indices.shape)}"
    is_matrix = len(indices.shape) == 2 and indices.dtype in ("U8", "U16", "I16")
    is_packed = len(indices.shape) == 1 and indices.dtype == "U8"
    require(is_matrix or is_packed, indices, "a matrix of U8, U16 or I16, or packed U8", found)
    if is_packed:
        require(indices.count % 3 == 0, indices, "packed indices, three bytes a pair", found)


def check_sidecar(module: StoredModule, where: str) -> None:
    parts = module.parts
    keys = [part for part in POSITION_PARTS if part in parts]
    require(len(keys) < 2, where, "one of sidecar_positions and sidecar_indices", "both")
    values, positions = parts.get("sidecar_values"), module.positions
    if values is None and positions is None:
        return
    require(positions is not None, where, "sidecar_positions beside sidecar_values", "none")
    require(values is not None, where, "sidecar_values beside sidecar_positions", "none")
    require(values.dtype == "F32", values, "dtype F32", values.dtype)
    require(positions.dtype in ("I64", "I32"), positions, "dtype I64", positions.dtype)
    require(len(values.shape) == 1, values, "one dimension", list(values.shape))
    fits = positions.shape == values.shape
    require(fits, positions, f"shape {list(values.shape)} of the values", list(positions.shape))


def check_extents(module: StoredModule, rows: int, columns: int) -> None:
    """Checks the parts against the dense shape (rows, columns). Raises CorruptDataError."""
    parts = module.parts
    indices = parts["indices"]
    vector = module.vector_size
    expected = f"the indices of a {rows} x {columns} matrix, vectors of {vector}"
    found = f"{indices.dtype} {list(indices.shape)}"
    count = rows * (columns // vector)
    if module.is_packed:
        fits = columns % vector == 0 and count % 2 == 0 and indices.count == count // 2 * 3
    else:
        fits = columns % vector == 0 and indices.shape == (rows, columns // vector)
    require(fits, indices, expected, found)
    if "svd_s" in parts:
        rank = parts["svd_s"].count
        for part, shape in zip(SVD_PARTS, ((rows, rank), (rank,), (rank, columns)), strict=True):
            check_floats(parts[part], shape)
    if "channel_scales" in parts:
        check_floats(parts["channel_scales"], (columns,))


def check_floats(tensor: StoredTensor, shape: tuple[int, ...]) -> None:
    require(tensor.dtype == "F32", tensor, "dtype F32", tensor.dtype)
    require(tensor.shape == shape, tensor, f"shape {list(shape)}", list(tensor.shape))
