"""The forms of HXQ checkpoint that every reader accepts, for tools/make_hostile.py. Numpy only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden_folder import (
    BASE,
    CONFIG,
    INDEX,
    MODULE,
    NORM,
    SINGLE,
    Files,
    Tensor,
    config,
    f32,
    folder,
    i64,
    module,
    pack_12_bit,
    safetensors,
    shards,
    tensor,
)


@dataclass(frozen=True)
class GoodCase:
    files: Files
    modules: dict[str, np.ndarray]  # what the codes decode to
    ignored: Iterable[str] = ()


def decode(
    codebook: Any,
    indices: np.ndarray,
    outliers: dict[int, float],
    low_rank: tuple[Any, Any, Any] | None = None,
    scales: Any = None,
) -> np.ndarray:
    """docs/format.md, "Decoding", one weight at a time."""
    book = np.asarray(codebook, np.float32)
    vector = book.shape[1] if book.ndim == 2 else 1
    rows, columns = indices.shape[0], indices.shape[1] * vector
    dense = np.empty((rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            entry = book[indices[row, column // vector]]
            weight = np.float32(entry[column % vector] if book.ndim == 2 else entry)
            weight = np.float32(outliers.get(row * columns + column, weight))
            if low_rank is not None:
                u, s, vt = low_rank
                terms = [
                    float(u[row, i]) * float(s[i]) * float(vt[i, column]) for i in range(len(s))
                ]
                weight = np.float32(float(weight) + sum(terms))
            if scales is not None:
                weight = weight / np.float32(scales[column])
            dense[row, column] = weight
    return dense


BASE_LEVELS = BASE["codebook"][1]
BASE_INDICES = BASE["indices"][1]
BASE_OUTLIERS = {3: 9.5, 17: -7.0}
BASE_DENSE = decode(BASE_LEVELS, BASE_INDICES, BASE_OUTLIERS)


def _wide_indices(rows: int, columns: int, k: int) -> np.ndarray:
    return np.arange(rows * columns).reshape(rows, columns) * 37 % k


def _vectors(vector: int, packed: bool = False) -> GoodCase:
    book = np.arange(7 * vector).reshape(7, vector) / 8 - 1
    indices = _wide_indices(4, 3, 7)
    dense = decode(book, indices, BASE_OUTLIERS if vector == 2 else {3: 9.5, 17: -7.0})
    changes = {"codebook": f32(book), "indices": tensor("U8", indices)}
    listed = {}
    if packed:
        changes["indices"] = pack_12_bit(indices)
        listed = {"module_shapes": {MODULE: list(dense.shape)}}
    return GoodCase(folder(module(changes), listed), {MODULE: dense})


def _same(changes: dict[str, Tensor | None], **quantization: Any) -> GoodCase:
    """Another form of the very same matrix."""
    return GoodCase(folder(module(changes), quantization), {MODULE: BASE_DENSE})


def index_forms() -> dict[str, GoodCase]:
    k = 300
    levels = np.sin(np.arange(k))
    indices = _wide_indices(4, 5, k)
    dense = decode(levels, indices, BASE_OUTLIERS)

    def wide(stored: Tensor, **quantization: Any) -> GoodCase:
        parts = module({"codebook": f32(levels), "indices": stored})
        return GoodCase(folder(parts, quantization), {MODULE: dense})

    packed = pack_12_bit(indices)
    shape = {"module_shapes": {MODULE: [4, 5]}, "index_packing": "12bit"}
    return {
        "u8": _same({}),
        "u16": wide(tensor("U16", indices)),
        "i16": wide(tensor("I16", indices)),
        "packed": wide(packed, **shape),
        "packed_short_codebook": _same(
            {"indices": pack_12_bit(BASE_INDICES)}, module_shapes={MODULE: [4, 6]}
        ),
        "vectors_of_2": _vectors(2),
        "vectors_of_4": _vectors(4),
        "vectors_packed": _vectors(2, packed=True),
        "u8_full_codebook": GoodCase(
            folder(
                module(
                    {
                        "codebook": f32(np.arange(256)),
                        "indices": tensor("U8", np.arange(256), (16, 16)),
                    }
                )
            ),
            {MODULE: decode(np.arange(256), np.arange(256).reshape(16, 16), BASE_OUTLIERS)},
        ),
    }


def part_forms() -> dict[str, GoodCase]:
    bare = decode(BASE_LEVELS, BASE_INDICES, {})
    u, s = np.arange(8).reshape(4, 2) - 3.0, np.array([0.5, 0.25])
    vt = np.arange(12).reshape(2, 6) - 5.0
    svd: dict[str, Tensor | None] = {"svd_U": f32(u), "svd_s": f32(s), "svd_Vt": f32(vt)}
    scales = np.array([0.5, 3.0, -1.5, 0.1, 7.0, 1e-3], np.float32)
    scaled = {"channel_scales": f32(scales)}
    low_rank = decode(BASE_LEVELS, BASE_INDICES, BASE_OUTLIERS, (u, s, vt))
    all_parts = decode(BASE_LEVELS, BASE_INDICES, BASE_OUTLIERS, (u, s, vt), scales)
    none: dict[str, Tensor | None] = {"sidecar_positions": None, "sidecar_values": None}
    levels = np.array([2.0, -0.0, 2.0, -1.0, 1e-42], np.float32)  # unsorted, twice, -0, subnormal
    synonym = {"sidecar_positions": None, "sidecar_indices": BASE["sidecar_positions"]}
    one = {"codebook": f32([0.75]), "indices": tensor("U8", np.zeros((4, 6)))}
    divided = decode(BASE_LEVELS, BASE_INDICES, BASE_OUTLIERS, scales=scales)
    return {
        "positions_i32": _same({"sidecar_positions": tensor("I32", [3, 17])}),
        "sidecar_indices": _same(synonym),
        "sidecar_absent": GoodCase(folder(module(none)), {MODULE: bare}),
        "sidecar_empty": GoodCase(
            folder(module({"sidecar_positions": i64([]), "sidecar_values": f32([])})),
            {MODULE: bare},
        ),
        "svd": GoodCase(folder(module(svd)), {MODULE: low_rank}),
        "scales": GoodCase(folder(module(scaled)), {MODULE: divided}),
        "svd_and_scales": GoodCase(folder(module({**svd, **scaled})), {MODULE: all_parts}),
        "codebook_of_one": GoodCase(
            folder(module(one)), {MODULE: decode([0.75], np.zeros((4, 6), int), BASE_OUTLIERS)}
        ),
        "codebook_unsorted": GoodCase(
            folder(module({"codebook": f32(levels)})),
            {MODULE: decode(levels, BASE_INDICES, BASE_OUTLIERS)},
        ),
    }


def exact_forms() -> dict[str, GoodCase]:
    exact = {f"{MODULE}.weight": f32(np.arange(24), 4, 6)}
    dense = {MODULE: BASE_DENSE}
    packed = {"indices": pack_12_bit(BASE_INDICES)}
    state = "layers.0.mixer.A_log"
    listed = {"compressed_modules": [state]}
    odd = "layers.0.mixer.odd"
    derived = [f"{MODULE}.{name}" for name in ("codebook_f16", "_sidecar_rows", "_sidecar_cols")]
    derived += [f"{MODULE}._sidecar_deltas", f"{MODULE}._sidecar_vq_vals"]
    buffers = {key: tensor("F16", [1, 2]) for key in derived}
    under = "layers.0.up_proj"
    twins = {"layers.0.norm_a.weight": f32([1.0]), "layers.0.norm.a.weight": f32([1.0])}
    twins["layers.0.up.proj.weight"] = f32(np.zeros(24), 4, 6)
    types = {
        **{"f64": tensor("F64", [1.5]), "f16": tensor("F16", [1.5]), "bf16": tensor("BF16", [3])},
        **{"i8": tensor("I8", [-1]), "bool": tensor("BOOL", [1, 0]), "scalar": f32(1.5)},
    }
    empty = {"nothing": f32([]), "no_rows": f32(np.zeros(0), 0, 3)}
    names = {"compressed_modules": [under]}
    return {
        "exact_wins": GoodCase(folder({**module(), **exact}), dense),
        "exact_tells_the_shape": GoodCase(folder({**module(packed), **exact}), dense),
        "empty_weight": GoodCase(
            folder({**module(), f"{MODULE}.weight": tensor("F16", [])}),
            dense,
            [f"{MODULE}.weight"],
        ),
        "bare_parameter": GoodCase(folder(module(name=state), listed), {state: BASE_DENSE}),
        "bare_parameter_empty": GoodCase(
            folder({**module(name=state), state: f32([])}, listed), {state: BASE_DENSE}, [state]
        ),
        "bare_parameter_exact": GoodCase(
            folder(
                {**module(name=odd), odd: f32(np.arange(24), 4, 6)}, {"compressed_modules": [odd]}
            ),
            {odd: BASE_DENSE},
        ),
        "derived_buffers": GoodCase(folder({**module(), **buffers}), dense, derived),
        "mangled_names": GoodCase(
            folder({**module(name=under), **twins}, names),
            {under: BASE_DENSE},
            ["layers.0.norm.a.weight", "layers.0.up.proj.weight"],
        ),
        "many_types": GoodCase(folder({**types, **module()}), dense),
        "empty_tensors": GoodCase(folder({**empty, **module()}), dense),
    }


def empty_forms() -> dict[str, GoodCase]:
    none: dict[str, Tensor | None] = {"sidecar_positions": None, "sidecar_values": None}

    def empty(rows: int, columns: int) -> GoodCase:
        indices = tensor("U8", np.zeros((rows, columns)))
        files = folder(module({**none, "indices": indices}))
        return GoodCase(files, {MODULE: np.zeros((rows, columns), np.float32)})

    return {"no_rows": empty(0, 6), "no_columns": empty(4, 0)}


def container_forms() -> dict[str, GoodCase]:
    dense = {MODULE: BASE_DENSE}
    files = folder(module())
    tensors = {**module(), **NORM}
    halves = {"a.safetensors": {}, "b.safetensors": dict(NORM)}
    for i, (key, value) in enumerate(module().items()):
        halves["ab"[i % 2] + ".safetensors"][key] = value
    split = shards(halves)
    more = {**halves, "a.safetensors": {**halves["a.safetensors"], "left.over": f32([1.0])}}
    map_of_halves = {key: shard for shard, held in halves.items() for key in held}
    twice = {**halves, "c.safetensors": {**NORM, f"{MODULE}.codebook": f32([7.0])}}
    return {
        "no_metadata": GoodCase({**files, SINGLE: safetensors(tensors)}, dense),
        "header_padded": GoodCase({**files, SINGLE: safetensors(tensors, {}, 61)}, dense),
        "unaligned": GoodCase(
            {**files, SINGLE: safetensors({"one": tensor("U8", [7]), **tensors})}, dense
        ),
        "shards": GoodCase(split, dense),
        "shard_with_more": GoodCase(shards(more, map_of_halves), dense),
        "shard_with_a_second_codebook": GoodCase(
            shards(twice, {**map_of_halves, "norm.weight": "c.safetensors"}), dense
        ),
        "file_beside_an_index": GoodCase({**files, INDEX: b"not read"}, dense),
    }


def config_forms() -> dict[str, GoodCase]:
    dense = {MODULE: BASE_DENSE}
    files = folder(module())
    infinite = config(time_step_limit=[0.0, float("inf")], other=[float("nan"), -float("inf")])
    wrong = {"codebook_size": 4096, "vector_dim": 2, "index_packing": "12bit", "new": {"a": [1]}}
    packed = {"indices": pack_12_bit(BASE_INDICES)}
    up, state = "model.layers.0.mlp.up_proj", "backbone.layers.0.mixer.A_log"

    def from_sizes(name: str, **fields: Any) -> GoodCase:
        files = folder(module(packed, name), {"compressed_modules": [name]}, **fields)
        return GoodCase(files, {name: BASE_DENSE})

    return {
        "method_cdna_v3": _same({}, quant_method="cdna_v3"),
        "method_helix": _same({}, quant_method="helix"),
        "modules_absent": _same({}, compressed_modules=...),
        "modules_null": _same({}, compressed_modules=None),
        "config_wrong_and_unknown_fields": _same({}, **wrong),
        "config_with_infinity": GoodCase({**files, CONFIG: infinite}, dense),
        "sizes_of_llama": from_sizes(
            up, model_type="llama", hidden_size=6, intermediate_size=4, num_attention_heads=2
        ),
        "sizes_of_mamba": from_sizes(
            state, model_type="mamba", hidden_size=2, expand=2, state_size=6
        ),
    }


def good_cases() -> dict[str, GoodCase]:
    makers = (index_forms, part_forms, exact_forms, empty_forms, container_forms, config_forms)
    return {name: case for make in makers for name, case in make().items()}
