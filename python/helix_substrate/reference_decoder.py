"""A second, independent reader of HXQ checkpoints, written from docs/format.md with numpy alone.

It exists to be compared with the library: short, plain, slow. It shares no code with it.

    python -m helix_substrate.reference_decoder FOLDER [--sha256] [--out DENSE.npz]

prints every compressed module with its dense shape and, with --sha256, the hash of its dense F32
bytes (C order, little endian).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:  # run by its path, not installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helix_substrate.reference_safetensors import (
    FormatError,
    StoredTensor,
    as_floats,
    read_json,
    read_tensors,
    require,
)

MAX_VECTOR_SIZE = 256
QUANT_METHODS = ("hxq", "cdna_v3", "helix")
PARTS = {"codebook", "indices", "sidecar_values", "channel_scales", "svd_U", "svd_s", "svd_Vt"}
PARTS |= {"sidecar_positions", "sidecar_indices"}  # synonyms
DERIVED_BUFFERS = {"codebook_f16", "_sidecar_rows", "_sidecar_cols", "_sidecar_deltas"}
DERIVED_BUFFERS |= {"_sidecar_vq_vals"}
BARE_PARAMETERS = ("A_log", "D", "dt_bias")
# One compressed module


def _floats(parts: dict[str, StoredTensor], part: str, *ranks: int) -> np.ndarray:
    tensor = parts[part]
    require(tensor.dtype == "F32", f"{tensor.where}: dtype {tensor.dtype}, expected F32")
    require(tensor.data.ndim in ranks, f"{tensor.where}: rank {tensor.data.ndim} is not {ranks}")
    require(bool(np.isfinite(tensor.data).all()), f"{tensor.where}: a value is not finite")
    return np.array(tensor.data)


def _codebook(parts: dict[str, StoredTensor]) -> np.ndarray:
    codebook = _floats(parts, "codebook", 1, 2)
    k, d = codebook.shape if codebook.ndim == 2 else (len(codebook), 1)
    valid = k > 0 and 0 < d <= MAX_VECTOR_SIZE
    require(valid, f"{parts['codebook'].where}: {k} entries of {d} weights")
    return codebook.reshape(k, d)


def unpack_12_bit(packed: np.ndarray, count: int) -> np.ndarray:
    """`count` (even) indices from their 3/2 * count bytes."""
    first, middle, last = packed.astype(np.uint16).reshape(-1, 3).T
    pairs = np.stack([first | (middle & 15) << 8, middle >> 4 | last << 4], axis=1)
    return pairs.reshape(count)


def _indices(parts: dict[str, StoredTensor], d: int, shape: tuple[int, int] | None) -> np.ndarray:
    """The index matrix (out, in / d); `shape` is the dense one, needed for packed indices only."""
    tensor = parts["indices"]
    where = f"{tensor.where}: {tensor.dtype} {list(tensor.data.shape)}"
    if tensor.dtype in ("U8", "U16", "I16") and tensor.data.ndim == 2:
        return tensor.data if tensor.dtype == "U8" else tensor.data.view("<u2")
    require(tensor.dtype == "U8" and tensor.data.ndim == 1, f"{where} cannot be indices")
    require(shape is not None, f"{where}: packed indices, and nothing tells the matrix's shape")
    rows, columns = shape
    count = rows * (columns // d)
    fits = columns % d == 0 and count % 2 == 0 and tensor.data.size == count // 2 * 3
    require(fits, f"{where}: packed indices of a {rows} x {columns} matrix, vectors of {d}")
    return unpack_12_bit(tensor.data, count).reshape(rows, columns // d)


def _replace_outliers(weights: np.ndarray, parts: dict[str, StoredTensor], module: str) -> None:
    keys = [key for key in ("sidecar_positions", "sidecar_indices") if key in parts]
    require(len(keys) < 2, f"{module}: both sidecar_positions and sidecar_indices")
    require(("sidecar_values" in parts) == bool(keys), f"{module}: half of a sidecar")
    if not keys:
        return
    tensor = parts[keys[0]]
    values = _floats(parts, "sidecar_values", 1)
    require(tensor.dtype in ("I64", "I32"), f"{tensor.where}: dtype {tensor.dtype}, expected I64")
    require(tensor.data.shape == values.shape, f"{tensor.where}: not one position per value")
    positions = tensor.data.astype(np.int64)
    inside = bool(((positions >= 0) & (positions < weights.size)).all())
    require(inside, f"{tensor.where}: a position lies outside the {weights.size} weights")
    ascending = bool((positions[1:] > positions[:-1]).all())
    require(ascending, f"{tensor.where}: positions are not strictly ascending")
    weights.reshape(-1)[positions] = values


def _add_low_rank(weights: np.ndarray, parts: dict[str, StoredTensor], module: str) -> np.ndarray:
    present = [part for part in ("svd_U", "svd_s", "svd_Vt") if part in parts]
    if not present:
        return weights
    require(len(present) == 3, f"{module}: only {', '.join(present)} of the low-rank part")
    u, s, vt = _floats(parts, "svd_U", 2), _floats(parts, "svd_s", 1), _floats(parts, "svd_Vt", 2)
    rows, columns = weights.shape
    fits = u.shape == (rows, len(s)) and vt.shape == (len(s), columns)
    require(fits, f"{module}: low-rank part {u.shape}, {s.shape}, {vt.shape} does not fit")
    product = (u.astype(np.float64) * s) @ vt.astype(np.float64)
    return (weights + product).astype(np.float32)


def decode_parts(
    parts: dict[str, StoredTensor], module: str, shape: tuple[int, int] | None = None
) -> np.ndarray:
    """The dense F32 matrix (out, in) of a module. Raises FormatError for any broken rule."""
    for part in ("codebook", "indices"):
        require(part in parts, f"{module}: {part} is missing")
    codebook = _codebook(parts)
    indices = _indices(parts, codebook.shape[1], shape)
    largest, k = int(indices.max(initial=0)), len(codebook)
    require(largest < k, f"{module}: index {largest} into a codebook of {k} entries")
    weights = codebook[indices].reshape(len(indices), indices.shape[1] * codebook.shape[1])
    _replace_outliers(weights, parts, module)
    weights = _add_low_rank(weights, parts, module)
    if "channel_scales" in parts:
        scales = _floats(parts, "channel_scales", 1)
        require(len(scales) == weights.shape[1], f"{module}: {len(scales)} channel scales")
        require(bool((scales != 0).all()), f"{module}: a channel scale is zero")
        weights = weights / scales
    return weights


# A model folder


class Checkpoint(Mapping[str, np.ndarray]):
    """Dense key to dense array; a compressed module is decoded each time it is asked for.

    Keys are the dense keys of the compressed modules and of the exact tensors. A tied head has no
    entry of its own. Floats come as F32, integers as they are. Ignored keys are named in a
    warning. Raises FormatError on opening for a broken container, on access for a broken module.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_json(folder / "config.json")
        self._tensors = read_tensors(folder)
        self._quantization = self._read_quantization()
        self.modules: dict[str, dict[str, StoredTensor]] = {}
        for key, tensor in self._tensors.items():
            module, _, part = key.rpartition(".")
            if self._quantization and module and part in PARTS:
                self.modules.setdefault(module, {})[part] = tensor
        for name in self._quantization.get("compressed_modules", []):
            require(name in self.modules, f"{folder}: listed module {name} is missing")
        self.dense_keys = {self._dense_key(module): module for module in self.modules}
        self.ignored = self._ignored_keys()
        skipped = {*self.ignored, *(f"{m}.{part}" for m in self.modules for part in PARTS)}
        self.exact = {key: self._tensors[key] for key in self._tensors if key not in skipped}
        if self.ignored:
            warnings.warn(f"{folder}: ignored keys: {', '.join(self.ignored)}", stacklevel=3)

    def __getitem__(self, key: str) -> np.ndarray:
        if key in self.exact:
            return as_floats(self.exact[key])
        return self.decode_module(self.dense_keys[key])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self.dense_keys, *self.exact}))

    def __len__(self) -> int:
        return len({*self.dense_keys, *self.exact})

    def decode_module(self, module: str) -> np.ndarray:
        """The matrix that the codes of `module` give, also where an exact tensor overrules it."""
        require(module in self.modules, f"{self.folder}: no compressed module {module}")
        return decode_parts(self.modules[module], module, self._shape(module))

    def _read_quantization(self) -> dict[str, Any]:
        block = self.config.get("quantization_config")
        if block is None:
            return {}
        require(isinstance(block, dict), f"{self.folder}: quantization_config is not an object")
        method = block.get("quant_method")
        require(method in QUANT_METHODS, f"{self.folder}: quant_method {method!r} is not HXQ")
        listed = block.get("compressed_modules")
        if listed is None:
            listed = block["compressed_modules"] = []
        valid = isinstance(listed, list) and all(isinstance(name, str) for name in listed)
        require(valid, f"{self.folder}: compressed_modules is not a list of names")
        return block

    def _dense_key(self, module: str) -> str:
        is_bare = module in self._tensors or module.rpartition(".")[2] in BARE_PARAMETERS
        return module if is_bare else f"{module}.weight"

    def _ignored_keys(self) -> list[str]:
        ignored = {f"{module}.{name}" for module in self.modules for name in DERIVED_BUFFERS}
        ignored |= {key for key in self.dense_keys if self._size_of(key) == 0}
        if self._quantization:  # names with every "_" turned into "." by old exporters
            names = {*self._tensors, *self.dense_keys}
            ignored |= {name.replace("_", ".") for name in names if "_" in name}
        return sorted(ignored & self._tensors.keys())

    def _size_of(self, key: str) -> int | None:
        return self._tensors[key].data.size if key in self._tensors else None

    def _shape(self, module: str) -> tuple[int, int] | None:
        shapes = self._quantization.get("module_shapes") or {}
        if isinstance(shapes, dict) and module in shapes:
            shape = shapes[module]
            valid = isinstance(shape, list) and all(type(size) is int for size in shape)
            valid = valid and len(shape) == 2 and min(shape) >= 0
            require(valid, f"{self.folder}: module_shapes of {module} is {shape!r}")
            return shape[0], shape[1]
        exact = self.exact.get(self._dense_key(module))
        if exact is not None and exact.data.ndim == 2:
            return exact.data.shape[0], exact.data.shape[1]
        return shape_from_config(self.config, module)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Opens the model folder `path`: a mapping from dense key to array, decoded when asked for."""
    return Checkpoint(Path(path))


def decode_module(path: str | Path, module: str) -> np.ndarray:
    """The dense F32 matrix (out, in) of one compressed module of the folder `path`."""
    return read_checkpoint(path).decode_module(module)


# Packed indices of earlier files: the shape follows from the sizes in config.json

DECODER_SHAPES = """embed_tokens vocabulary hidden, lm_head vocabulary hidden,
    q_proj queries attention, k_proj keys attention, v_proj keys attention, o_proj hidden queries,
    gate_proj feed hidden, up_proj feed hidden, down_proj hidden feed"""
STATE_SPACE_SHAPES = """embeddings vocabulary hidden, lm_head vocabulary hidden,
    in_proj states hidden, out_proj hidden inner,
    x_proj step_and_states inner, dt_proj inner step, A_log inner state"""
ZAMBA2_SHAPES = f"""{DECODER_SHAPES}, in_proj states hidden, out_proj hidden inner,
    linear hidden hidden, gate_up_proj gate_and_up hidden,
    gate_up_0 adapter hidden, gate_up_1 gate_and_up adapter,
    linear_0 adapter attention, linear_1 queries adapter"""
SHAPES = {
    **dict.fromkeys(("llama", "mistral", "qwen2"), DECODER_SHAPES),
    **dict.fromkeys(("mamba", "mamba2"), STATE_SPACE_SHAPES),
    "zamba2": ZAMBA2_SHAPES,
}


def _model_sizes(config: dict[str, Any]) -> dict[str, int]:
    def size(*keys: str, default: int = 0) -> int:
        found = [config[key] for key in keys if type(config.get(key)) is int]
        return found[0] if found else default

    kind, hidden = config["model_type"], size("hidden_size")
    attention = size("attention_hidden_size", default=2 * hidden) if kind == "zamba2" else hidden
    heads = size("num_attention_heads", default=1)
    head = size("attention_head_dim", "head_dim", default=attention // max(heads, 1))
    inner = size("expand", "mamba_expand", default=2) * hidden
    state, feed = size("state_size", "mamba_d_state"), size("intermediate_size")
    grouped = 2 * state * size("n_groups", "mamba_ngroups", default=1)
    scan_heads = size("num_heads", "n_mamba_heads")
    step = size("time_step_rank", default=-(-hidden // 16))
    return {
        **{"vocabulary": size("vocab_size"), "hidden": hidden, "attention": attention},
        **{"queries": heads * head, "keys": size("num_key_value_heads", default=heads) * head},
        **{"feed": feed, "gate_and_up": 2 * feed, "adapter": size("adapter_rank")},
        **{"inner": inner, "state": state, "step": step, "step_and_states": step + 2 * state},
        "states": 2 * inner + (0 if kind == "mamba" else grouped + scan_heads),
    }


def shape_from_config(config: dict[str, Any], module: str) -> tuple[int, int] | None:
    """The dense shape (out, in) of `module`; None where the model or the module is not known."""
    leaf = re.sub(r"(gate_up|linear)_\w+_adapter_list\.\d+\.", r"\1_", module).rpartition(".")[2]
    for line in SHAPES.get(str(config.get("model_type")), "").split(","):
        name, *extents = line.split() or [""]
        if name == leaf:
            sizes = _model_sizes(config)
            shape = sizes[extents[0]], sizes[extents[1]]
            return shape if min(shape) > 0 else None
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description="Decodes an HXQ checkpoint, slowly and plainly.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sha256", action="store_true", help="hash each module's dense F32 bytes")
    parser.add_argument("--out", type=Path, help="write every dense tensor to this .npz file")
    options = parser.parse_args()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint = read_checkpoint(options.folder)
        for key in checkpoint.ignored:
            print(f"ignored: {key}", file=sys.stderr)
        for module in sorted(checkpoint.modules):
            dense = checkpoint.decode_module(module)
            digest = hashlib.sha256(dense.astype("<f4").tobytes()).hexdigest()
            print(module, list(dense.shape), digest if options.sha256 else "")
        if options.out:
            np.savez(options.out, **dict(checkpoint))
    except (FormatError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
