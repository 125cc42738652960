"""Writes tests/golden: small model folders that every reader must refuse, and twins it must read.

    python tools/make_hostile.py [OUT_DIR]

hostile/CASE/ breaks one rule of docs/format.md each; hostile/expected.json has the library's error
code and words of its message, which name the place and what was found there. good/CASE/ holds the
forms that a reader accepts; good/expected.json has the SHA-256 of every decoded matrix, worked out
by a plain formula and by the reference decoder. The same bytes every time. Needs numpy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from golden_folder import (
    BASE,
    CONFIG,
    INDEX,
    MODULE,
    SINGLE,
    Files,
    Tensor,
    config,
    f32,
    file_with_header,
    folder,
    i64,
    module,
    pack_12_bit,
    safetensors,
    shards,
    tensor,
)
from good_cases import GoodCase, good_cases

ROOT = Path(__file__).resolve().parents[1]
CORRUPT, ABSENT, UNSUPPORTED = "corrupt data", "not found", "unsupported"


@dataclass(frozen=True)
class Refusal:
    files: Files
    words: tuple[str, ...]  # each is in the library's message
    code: str = CORRUPT
    foreign: str = ""  # no fault of the container: the library says what method it found


Cases = dict[str, Refusal]


def _weights(content: bytes, *words: str, code: str = CORRUPT) -> Refusal:
    """A folder whose weight file is `content`."""
    files = {CONFIG: config({"compressed_modules": []}), SINGLE: content}
    return Refusal(files, (SINGLE, *words), code)


def _entry(change: dict[str, Any], *words: str, code: str = CORRUPT) -> Refusal:
    """A file of one tensor "x", F32 [2], with a change to its entry; `...` takes a field away."""
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **change}
    entry = {key: value for key, value in entry.items() if value is not ...}
    return _weights(file_with_header({"x": entry}, bytes(8)), "tensor x", *words, code=code)


def _pair(a: list[int], b: list[int], data: int, *words: str) -> Refusal:
    """A file of two U8 tensors "a" and "b" at these offsets."""
    header = {
        name: {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
        for name, (begin, end) in (("a", a), ("b", b))
    }
    return _weights(file_with_header(header, bytes(data)), *words)


def header_cases() -> Cases:
    whole = safetensors({"x": f32([1, 2])})
    huge = struct.pack("<Q", 2**64 - 1)
    entry = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
    nested = '{"x":' + "[" * 150 + "]" * 150 + "}"
    metadata = {"x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}
    return {
        "file_empty": _weights(b"", "only 0 bytes"),
        "file_of_seven_bytes": _weights(whole[:7], "only 7 bytes"),
        "file_shorter_than_header": _weights(whole[:40], "in a file of 40", "truncated"),
        "header_length_too_large": _weights(
            struct.pack("<Q", 100_000_001) + b"{}", "header of 100000001 bytes"
        ),
        "header_length_of_64_bits": _weights(huge + b"{}", "header of 18446744073709551615 bytes"),
        "header_empty": _weights(file_with_header(""), "not valid JSON"),
        "header_not_json": _weights(file_with_header("weights: none"), "not valid JSON"),
        "header_not_utf8": _weights(
            file_with_header(b'{"\xff":' + entry.encode() + b"}", b"\0"), "not valid JSON"
        ),
        "header_cut_off": _weights(file_with_header('{"x":{"dtype":"F32"'), "not valid JSON"),
        "header_of_two_values": _weights(file_with_header("{} {}"), "not valid JSON"),
        "header_with_a_zero_byte": _weights(file_with_header("{}\0{}"), "zero byte"),
        "header_with_python_words": _weights(file_with_header('{"x":NaN}'), "not valid JSON"),
        "header_an_array": _weights(file_with_header("[1]"), "must be a JSON object"),
        "header_nested_too_deep": _weights(file_with_header(nested), "nested deeper than 100"),
        "header_key_twice": _weights(
            file_with_header(f'{{"x":{entry},"x":{entry}}}', b"\0"), 'key "x" occurs twice'
        ),
        "header_field_twice": _weights(
            file_with_header('{"x":{"dtype":"U8",' + entry[1:] + "}", b"\0"),
            'key "dtype" occurs twice',
        ),
        "metadata_no_object": _weights(
            file_with_header({"__metadata__": "pt", **metadata}, b"\0"), "__metadata__"
        ),
        "metadata_with_a_number": _weights(
            file_with_header({"__metadata__": {"rank": 3}, **metadata}, b"\0"),
            "__metadata__",
            '"rank"',
        ),
        "tensor_no_object": _weights(file_with_header({"x": [0, 8]}), "tensor x"),
        "dtype_unknown": _entry({"dtype": "F31"}, 'unknown dtype "F31"'),
        "dtype_in_lower_case": _entry({"dtype": "f32"}, 'unknown dtype "f32"'),
        "dtype_no_string": _entry({"dtype": 5}, "no dtype"),
        "dtype_absent": _entry({"dtype": ...}, "no dtype"),
        "dtype_of_four_bits": _entry({"dtype": "F4"}, "type F4", code=UNSUPPORTED),
        "dtype_of_six_bits": _entry({"dtype": "F6_E2M3"}, "type F6_E2M3", code=UNSUPPORTED),
        "shape_absent": _entry({"shape": ...}, "no shape"),
        "shape_no_list": _entry({"shape": 2}, "no shape"),
        "shape_negative": _entry({"shape": [-2]}, "shape holds -2"),
        "shape_fractional": _entry({"shape": [2.0]}, "shape holds 2.0"),
        "shape_of_strings": _entry({"shape": ["2"]}, 'shape holds "2"'),
        "shape_over_64_bits": _entry({"shape": [2**64]}, "shape holds"),
        "shape_overflows": _entry({"shape": [2**32, 2**31]}, "[4294967296, 2147483648]", "64 bits"),
        "shape_wraps_to_its_size": _entry({"shape": [2**62 + 2]}, "overflows 64 bits"),
        "shape_too_large": _entry({"shape": [3]}, "F32 [3] takes 12 bytes", "give 8"),
        "shape_too_small": _entry({"shape": [1]}, "F32 [1] takes 4 bytes", "give 8"),
        "offsets_absent": _entry({"data_offsets": ...}, "no data_offsets"),
        "offsets_negative": _entry({"data_offsets": [-8, 0]}, "data_offsets holds -8"),
        "offsets_fractional": _entry({"data_offsets": [0, 8.0]}, "data_offsets holds 8.0"),
        "offsets_of_three": _entry({"data_offsets": [0, 4, 8]}, "must be [begin, end]"),
        "offsets_reversed": _entry({"data_offsets": [8, 0]}, "must be [begin, end]"),
        "offsets_past_64_bits": _entry({"data_offsets": [2**64 - 8, 2**64]}, "data_offsets holds"),
        "offsets_at_the_end_of_64_bits": _entry(
            {"data_offsets": [2**64 - 9, 2**64 - 1]}, "ends at byte 18446744073709551615"
        ),
        "offsets_overlap": _pair([0, 4], [3, 7], 7, "tensor b", "overlaps"),
        "offsets_same_place": _pair([0, 4], [0, 4], 4, "begins at byte 0", "overlaps"),
        "offsets_leave_a_gap": _pair([0, 4], [5, 8], 8, "tensor b", "gap"),
        "offsets_begin_with_a_gap": _pair([1, 4], [4, 8], 8, "tensor a", "gap"),
        "data_truncated": _weights(whole[:-1], "tensor x ends at byte 8", "only 7"),
        "data_absent": _weights(whole[:-8], "tensor x ends at byte 8", "only 0"),
        "bytes_after_the_last_tensor": _weights(whole + b"\0", "1 bytes after the last tensor"),
        "bytes_of_no_tensor": _weights(file_with_header({}, b"\0"), "1 bytes after"),
    }


def _index(text: str, *words: str) -> Refusal:
    files = {CONFIG: config(), INDEX: text.encode(), "a.safetensors": safetensors(module())}
    return Refusal(files, (INDEX, *words))


def _shard_name(shard: Any, *words: str, code: str = CORRUPT) -> Refusal:
    """Good shards, but the index puts the indices into `shard`."""
    weight_map = {**dict.fromkeys(module(), "a.safetensors"), f"{MODULE}.indices": shard}
    files = shards({"a.safetensors": module()}, weight_map)
    return Refusal(files, words or (INDEX, f"tensor {MODULE}.indices", "shard name"), code)


def shard_cases() -> Cases:
    good = safetensors(module())
    cut = shards({"a.safetensors": module()})
    two = {"a.safetensors": module(), "b.safetensors": {"x": f32([1.0])}}
    elsewhere = {**dict.fromkeys(module(), "a.safetensors"), "x": "a.safetensors"}
    return {
        "index_not_json": _index("{", "not valid JSON"),
        "index_an_array": _index("[]", "weight_map"),
        "index_without_weight_map": _index('{"metadata":{}}', "weight_map"),
        "weight_map_no_object": _index('{"weight_map":["a.safetensors"]}', "weight_map"),
        "weight_map_key_twice": _index(
            '{"weight_map":{"x":"a.safetensors","x":"b.safetensors"}}', 'key "x" occurs twice'
        ),
        "shard_absent": _shard_name("b.safetensors", "b.safetensors", "absent", code=ABSENT),
        "shard_name_too_long": _shard_name("b" * 300, "bbb", "absent", code=ABSENT),
        "shard_name_in_the_parent": _shard_name("../a.safetensors"),
        "shard_name_in_a_subfolder": _shard_name("sub/a.safetensors"),
        "shard_name_absolute": _shard_name("/etc/passwd"),
        "shard_name_with_backslash": _shard_name("..\\a.safetensors"),
        "shard_name_of_the_parent": _shard_name(".."),
        "shard_name_of_the_folder": _shard_name("."),
        "shard_name_empty": _shard_name(""),
        "shard_name_with_zero_byte": _shard_name("a.safetensors\0"),
        "shard_name_no_string": _shard_name(1),
        "shard_without_the_tensor": Refusal(
            shards(two, elsewhere), ("a.safetensors", "tensor x is not in the shard"), ABSENT
        ),
        "shard_truncated": Refusal(
            {**cut, "a.safetensors": good[:-1]}, ("a.safetensors", "truncated")
        ),
        "weights_absent": Refusal({CONFIG: config()}, (SINGLE, INDEX), ABSENT),
        "weights_pickled": Refusal(
            {CONFIG: config(), "pytorch_model.bin": b"\x80\x02}q\x00."},
            ("pytorch_model.bin", "save_pretrained"),
            UNSUPPORTED,
        ),
    }


def _config(content: bytes | str, *words: str) -> Refusal:
    content = content.encode() if isinstance(content, str) else content
    return Refusal({CONFIG: content, SINGLE: safetensors(module())}, (CONFIG, *words))


def config_cases() -> Cases:
    packed = {"indices": pack_12_bit(BASE["indices"][1])}

    def shapes(value: Any) -> Refusal:
        files = folder(module(packed), {"module_shapes": {MODULE: value}})
        return Refusal(files, (CONFIG, f"module_shapes of {MODULE}", "expected [out, in]"))

    def foreign(method: str) -> Refusal:
        files = folder(module(), {"quant_method": method})
        return Refusal(files, (), UNSUPPORTED, foreign=method)

    return {
        "config_absent": Refusal({SINGLE: safetensors(module())}, (CONFIG,), ABSENT),
        "config_empty": _config("", "not valid JSON"),
        "config_not_json": _config("model_type: llama", "not valid JSON"),
        "config_not_utf8": _config(b'{"a":"\xff"}', "not valid JSON"),
        "config_an_array": _config("[]", "expected a JSON object"),
        "config_a_python_word": _config("NaN", "expected a JSON object"),
        "config_key_twice": _config('{"a":1,"a":2}', 'key "a" occurs twice'),
        "config_python_word_as_key": _config("{Infinity:1}", "not valid JSON"),
        "quantization_no_object": _config('{"quantization_config":"hxq"}', "is not an object"),
        "quantization_without_method": _config('{"quantization_config":{}}', "no quant_method"),
        "quantization_method_null": _config(
            '{"quantization_config":{"quant_method":null}}', "no quant_method"
        ),
        "quantization_of_another_method": foreign("gptq"),
        "quantization_of_fewer_bits": foreign("hxq4"),
        "modules_no_list": _config(config({"compressed_modules": MODULE}), "is not a list"),
        "modules_an_object": _config(config({"compressed_modules": {MODULE: 1}}), "is not a list"),
        "modules_with_a_number": _config(config({"compressed_modules": [MODULE, 5]}), "holds 5"),
        "modules_name_a_missing_one": Refusal(
            folder(module(), {"compressed_modules": [MODULE, "layers.1.proj"]}),
            ("module layers.1.proj is listed",),
        ),
        "shapes_of_three_sizes": shapes([4, 6, 1]),
        "shapes_of_one_size": shapes([24]),
        "shapes_of_strings": shapes(["4", "6"]),
        "shapes_negative": shapes([-4, -6]),
        "shapes_fractional": shapes([4.0, 6.0]),
        "shapes_no_list": shapes("4x6"),
    }


def _parts(changes: dict[str, Tensor | None], *words: str, **quantization: Any) -> Refusal:
    return Refusal(folder(module(changes), quantization), (MODULE, *words))


SVD: dict[str, Tensor | None] = {
    "svd_U": f32(np.arange(8) - 3, 4, 2),
    "svd_s": f32([0.5, 0.25]),
    "svd_Vt": f32(np.arange(12) - 5, 2, 6),
}


def part_cases() -> Cases:
    cases = {
        f"{part}_absent": _parts({part: None}, f"{part} is missing")
        for part in ("codebook", "indices", "sidecar_positions", "sidecar_values")
    }
    for part in SVD:
        cases[f"{part.lower()}_absent"] = _parts({**SVD, part: None}, f"{part} is missing")
    both = {"sidecar_indices": BASE["sidecar_positions"]}
    cases["sidecar_under_both_names"] = _parts(both, "both sidecar_positions", "sidecar_indices")
    codebooks = {
        "of_no_entries": (f32(np.zeros(0)), "codebook of 0"),
        "of_no_vectors": (f32(np.zeros(0), 0, 2), "codebook of 0"),
        "of_vectors_of_none": (f32(np.zeros(0), 5, 0), "vectors of 0 weights"),
        "of_vectors_of_257": (f32(np.zeros(257), 1, 257), "vectors of 257 weights"),
        "of_rank_0": (("F32", np.array(1, "<f4")), "rank 0"),
        "of_rank_3": (f32(np.zeros(5), 5, 1, 1), "rank 3"),
        "of_f16": (tensor("F16", np.zeros(5)), "type F16"),
        "of_bytes": (tensor("U8", np.zeros(5)), "type U8"),
        "with_nan": (f32([0, 1, np.nan, 2, 3]), "codebook entry 2 is nan"),
        "with_infinity": (f32([0, 1, 2, 3, -np.inf]), "codebook entry 4 is -inf"),
    }
    for name, (codebook, words) in codebooks.items():
        cases[f"codebook_{name}"] = _parts({"codebook": codebook}, words)
    return cases


def index_cases() -> Cases:
    def indices(value: Tensor, *words: str, **quantization: Any) -> Refusal:
        return _parts({"indices": value}, *words, **quantization)

    bad = np.array(BASE["indices"][1])
    bad[2, 1] = 5
    too_large = "index 5 at position 13"
    shape = {"module_shapes": {MODULE: [4, 6]}}
    odd = {"module_shapes": {MODULE: [5, 5]}}
    uneven = {"module_shapes": {MODULE: [6, 4]}}
    vectors = {"codebook": f32(np.arange(10), 5, 2), "indices": tensor("U8", bad)}
    llama = folder(
        module({"indices": pack_12_bit(bad)}, "model.layers.0.mlp.up_proj"),
        {"compressed_modules": []},
        model_type="llama",
        hidden_size=8,
        intermediate_size=4,
    )
    return {
        "index_too_large_u8": indices(tensor("U8", bad), too_large),
        "index_too_large_u16": indices(tensor("U16", bad), too_large),
        "index_too_large_i16": indices(
            tensor("I16", bad.astype(int) - 5), "index 65535 at position 2"
        ),
        "index_too_large_packed": indices(pack_12_bit(bad), too_large, **shape),
        "index_too_large_vectors": _parts(vectors, too_large),
        "indices_of_i8": indices(tensor("I8", bad), "I8 of shape [4, 6]"),
        "indices_of_u32": indices(tensor("U32", bad), "U32 of shape [4, 6]"),
        "indices_of_f32": indices(f32(bad), "F32 of shape [4, 6]"),
        "indices_flat_u16": indices(tensor("U16", bad.reshape(-1)), "U16 of shape [24]"),
        "indices_of_rank_0": indices(("U8", np.array(0, "u1")), "rank 0"),
        "indices_of_rank_3": indices(tensor("U8", bad, (2, 2, 6)), "rank 3"),
        "packed_without_a_shape": Refusal(
            folder(module({"indices": pack_12_bit(bad)})),
            (f"{MODULE}.indices", "do not tell the matrix's shape"),
            UNSUPPORTED,
        ),
        "packed_too_short": indices(tensor("U8", np.zeros(33)), "33 packed bytes", **shape),
        "packed_too_long": indices(tensor("U8", np.zeros(37)), "37 packed bytes", **shape),
        "packed_odd_number": indices(tensor("U8", np.zeros(38)), "[5, 5]", **odd),
        "packed_not_in_whole_vectors": _parts(
            {"codebook": f32(np.zeros(15), 5, 3), "indices": tensor("U8", np.zeros(12))},
            "4 columns cannot be divided",
            **uneven,
        ),
        "packed_unlike_config": Refusal(llama, ("up_proj.indices", "36 packed bytes", "[4, 8]")),
        "packed_shape_overflows": indices(
            pack_12_bit(bad), "packed bytes", module_shapes={MODULE: [2**63, 2**63]}
        ),
    }


def sidecar_cases() -> Cases:
    def positions(value: Tensor, *words: str) -> Refusal:
        return _parts({"sidecar_positions": value}, *words)

    def values(value: Tensor, *words: str) -> Refusal:
        return _parts({"sidecar_values": value}, *words)

    return {
        "positions_unsorted": positions(i64([17, 3]), "position 3 follows 17"),
        "positions_repeated": positions(i64([3, 3]), "position 3 follows 3"),
        "positions_negative": positions(i64([-1, 3]), "position -1"),
        "positions_negative_i32": positions(tensor("I32", [-1, 3]), "position -1"),
        "positions_past_the_end": positions(i64([3, 24]), "position 24", "24 weights"),
        "positions_far_past_the_end": positions(i64([3, 2**62]), f"position {2**62}"),
        "positions_of_u32": positions(tensor("U32", [3, 17]), "type U32"),
        "positions_of_f32": positions(f32([3, 17]), "type F32"),
        "positions_of_rank_2": positions(tensor("I64", [[3, 17]]), "rank 2"),
        "positions_too_many": positions(i64([3, 17, 18]), "3 sidecar positions but 2"),
        "positions_none": positions(i64([]), "0 sidecar positions but 2"),
        "values_too_many": values(f32([1, 2, 3]), "2 sidecar positions but 3"),
        "values_of_f16": values(tensor("F16", [1, 2]), "type F16"),
        "values_of_rank_2": values(f32([1, 2], 1, 2), "rank 2"),
        "values_with_nan": values(f32([1, np.nan]), "sidecar_values entry 1 is nan"),
        "values_with_infinity": values(f32([np.inf, 1]), "sidecar_values entry 0 is inf"),
    }


def low_rank_cases() -> Cases:
    def changed(part: str, value: Tensor, *words: str) -> Refusal:
        return _parts({**SVD, part: value}, *words)

    cases = {
        "svd_u_transposed": changed("svd_U", f32(np.zeros(8), 2, 4), "svd_U", "expected [4, 2]"),
        "svd_vt_transposed": changed("svd_Vt", f32(np.zeros(12), 6, 2), "svd_Vt", "[2, 6]"),
        "svd_u_of_another_rank": changed("svd_U", f32(np.zeros(4), 4, 1), "svd_U", "[4, 1]"),
        "svd_s_of_another_rank": changed("svd_s", f32([1, 2, 3]), "svd_", "expected [4, 3]"),
        "svd_s_a_matrix": changed("svd_s", f32(np.zeros(4), 2, 2), "svd_s", "rank 2"),
        "svd_u_of_f16": changed("svd_U", tensor("F16", np.zeros((4, 2))), "type F16"),
    }
    for part, value in SVD.items():
        broken = np.array(value[1])
        broken.reshape(-1)[1] = np.nan
        cases[f"{part.lower()}_with_nan"] = changed(part, f32(broken), f"{part} entry 1 is nan")
    scales = {
        "too_few": (f32(np.ones(5)), "5 entries"),
        "too_many": (f32(np.ones(7)), "7 entries"),
        "none": (f32(np.zeros(0)), "0 entries"),
        "of_rows": (f32(np.ones(4)), "4 entries"),
        "with_zero": (f32([1, 1, 0, 1, 1, 1]), "entry 2 is zero"),
        "with_negative_zero": (f32([1, 1, -0.0, 1, 1, 1]), "entry 2 is zero"),
        "with_nan": (f32([np.nan, 1, 1, 1, 1, 1]), "channel_scales entry 0 is nan"),
        "with_infinity": (f32([1, 1, 1, 1, 1, np.inf]), "channel_scales entry 5 is inf"),
        "of_f64": (tensor("F64", np.ones(6)), "type F64"),
        "of_rank_2": (f32(np.ones(6), 1, 6), "rank 2"),
    }
    for name, (value, words) in scales.items():
        cases[f"scales_{name}"] = _parts({"channel_scales": value}, words)
    return cases


def hostile_cases() -> Cases:
    makers = (header_cases, shard_cases, config_cases, part_cases, index_cases, sidecar_cases)
    return {name: case for make in (*makers, low_rank_cases) for name, case in make().items()}


def write_folder(path: Path, files: Files) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _sha256(dense: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(dense, "<f4").tobytes()).hexdigest()


def describe(case: GoodCase, path: Path) -> dict[str, Any]:
    """What a reader finds in a good folder; the reference decoder must agree."""
    from helix_substrate.reference_decoder import read_checkpoint

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checkpoint = read_checkpoint(path)
    if set(checkpoint.modules) != set(case.modules) or checkpoint.ignored != sorted(case.ignored):
        raise SystemExit(f"{path}: the reference decoder finds other modules or ignored keys")
    modules = {}
    for name, dense in case.modules.items():
        if _sha256(checkpoint.decode_module(name)) != _sha256(dense):
            raise SystemExit(f"{path}: {name}: the reference decoder gives another matrix")
        modules[name] = {"shape": list(dense.shape), "sha256": _sha256(dense)}
    exact = sorted(checkpoint.exact)
    return {"modules": modules, "exact": exact, "ignored": sorted(case.ignored)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes the golden and hostile model folders.")
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "tests" / "golden")
    out = parser.parse_args().out
    sys.path.insert(0, str(ROOT / "python"))
    refusals = {}
    for name, case in hostile_cases().items():
        write_folder(out / "hostile" / name, case.files)
        refusals[name] = {"code": case.code, "words": list(case.words)}
        if case.foreign:
            refusals[name] = {"foreign": case.foreign}
    write_json(out / "hostile" / "expected.json", refusals)
    good = {}
    for name, case in good_cases().items():
        write_folder(out / "good" / name, case.files)
        good[name] = describe(case, out / "good" / name)
    write_json(out / "good" / "expected.json", good)
    print(f"{out}: {len(refusals)} folders to refuse, {len(good)} to read")
    return 0


if __name__ == "__main__":
    sys.exit(main())
