"""The reference decoder: against files of the earlier software, against hand-made matrices, and
every file that docs/format.md says to refuse.
"""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from helix_substrate import reference_decoder, reference_safetensors
from helix_substrate.reference_decoder import FormatError, decode_module, read_checkpoint
from helix_substrate.reference_safetensors import read_safetensors

# Files of the earlier software (18 folders)

REFERENCE_NAMES = [
    "llama-kmap-u16-hxq",
    "llama-many-outliers-12bit-hxq",
    "llama-old-helix",
    "llama-old-names-cdna",
    "llama-resaved-shards-cdna",
    "llama-scales-cdna",
    "llama-state-i16",
    "llama-svd-cdna",
    "llama-tied-hxq",
    "llama-untied-bias-cdna",
    "llama-vq2d-12bit-hxq",
    "llama-vq2d-u8-hxq",
    "llama-vq4-synonyms",
    "mamba-vq2d-hxq",
    "mamba2-vq2d-hxq",
    "qwen2-tied-bf16-hxq",
    "stories-layer0-hxq",
    "zamba2-mixed-hxq",
]


@pytest.mark.parametrize("name", REFERENCE_NAMES)
@pytest.mark.filterwarnings("ignore:.*ignored keys")
def test_files_of_the_earlier_software(test_data: Path, name: str) -> None:
    folder = test_data / "hxq-reference" / name
    beside = test_data / "hxq-reference" / f"{name}.expected"
    expected = json.loads((beside / "expected.json").read_text())
    dense = read_safetensors(beside / "expected.safetensors")
    checkpoint = read_checkpoint(folder)
    assert set(checkpoint.modules) == set(expected["modules"])
    assert set(checkpoint.exact) == set(expected["exact_keys"])
    assert set(checkpoint.ignored) == set(expected["ignored_keys"])
    for module, facts in expected["modules"].items():
        decoded = checkpoint.decode_module(module)
        assert decoded.dtype == np.float32
        assert list(decoded.shape) == facts["shape"]
        if facts["bit_exact"]:
            assert hashlib.sha256(decoded.tobytes()).hexdigest() == facts["sha256"], module
        key = facts["dense_key"]
        reference = dense[facts.get("decoded_key_in_expected") or key].data
        assert np.abs(decoded - reference).max() <= 1e-6 * np.abs(reference).max(), module
        chosen = dense[key].data  # the exact tensor where the file holds one
        assert np.abs(checkpoint[key] - chosen).max() <= 1e-6 * np.abs(chosen).max(), module


def test_all_files_of_the_earlier_software_are_listed(test_data: Path) -> None:
    folders = (test_data / "hxq-reference").glob("*.expected")
    assert sorted(path.name.removesuffix(".expected") for path in folders) == REFERENCE_NAMES


def test_ignored_keys_are_named_in_a_warning(test_data: Path) -> None:
    with pytest.warns(UserWarning, match=r"layers\.0\.input\.layernorm\.weight"):
        read_checkpoint(test_data / "hxq-reference" / "llama-vq4-synonyms")


# Hand-made folders

Tensor = tuple[str, np.ndarray]  # dtype name and content


def write_file(path: Path, tensors: dict[str, Tensor]) -> None:
    header, data = {}, b""
    for name, (dtype, array) in tensors.items():
        raw = array.tobytes()
        span = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": span}
        data += raw
    write_raw(path, json.dumps(header).encode(), data)


def write_raw(path: Path, header: bytes, data: bytes = b"") -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def floats(*values: float) -> Tensor:
    return "F32", np.array(values, np.float32)


def positions(*values: int) -> Tensor:
    return "I64", np.array(values, np.int64)


def parts() -> dict[str, Tensor]:
    """A module m of 2 x 3 weights: [[1, 2, 3], [3, 2, 1]] before the sidecar."""
    return {
        "m.codebook": floats(1, 2, 3),
        "m.indices": ("U8", np.array([[0, 1, 2], [2, 1, 0]], np.uint8)),
    }


SIDECAR = {"m.sidecar_positions": positions(1, 5), "m.sidecar_values": floats(20, 60)}


def write_folder(folder: Path, tensors: dict[str, Tensor], **quantization) -> Path:
    block = {"quant_method": "hxq", "compressed_modules": ["m"], **quantization}
    (folder / "config.json").write_text(json.dumps({"quantization_config": block}))
    write_file(folder / "model.safetensors", tensors)
    return folder


def test_order_of_the_steps(tmp_path: Path) -> None:
    low_rank = {
        "m.svd_U": ("F32", np.array([[1], [2]], np.float32)),
        "m.svd_s": floats(0.5),
        "m.svd_Vt": ("F32", np.array([[2, 4, 6]], np.float32)),
    }
    scales = {"m.channel_scales": floats(1, 2, 4)}
    folder = write_folder(tmp_path, {**parts(), **SIDECAR, **low_rank, **scales})
    replaced = np.array([[1, 20, 3], [3, 2, 60]])
    expected = (replaced + np.array([[1, 2, 3], [2, 4, 6]])) / [1, 2, 4]
    assert np.array_equal(decode_module(folder, "m"), expected.astype(np.float32))


def test_low_rank_part_is_summed_in_double_and_rounded_once(tmp_path: Path) -> None:
    tensors = {
        "m.codebook": floats(1.0),
        "m.indices": ("U8", np.zeros((1, 1), np.uint8)),
        "m.svd_U": ("F32", np.array([[2**-12, 2**-12]], np.float32)),
        "m.svd_s": floats(1, 1),
        "m.svd_Vt": ("F32", np.array([[2**-12 * 0.75], [2**-12 * 0.75]], np.float32)),
    }
    found = decode_module(write_folder(tmp_path, tensors), "m")[0, 0]
    assert found == np.float32(1 + 2**-24 * 1.5)
    assert found != 1  # each addend alone would be rounded away in F32


def test_vectors(tmp_path: Path) -> None:
    book = ("F32", np.array([[1, 2], [3, 4], [5, 6]], np.float32))
    indices = ("U8", np.array([[0, 2], [1, 1]], np.uint8))
    folder = write_folder(tmp_path, {"m.codebook": book, "m.indices": indices, **SIDECAR})
    assert decode_module(folder, "m").tolist() == [[1, 20, 5, 6], [3, 60, 3, 4]]


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (4, 5), (3, 4)])
def test_packed_indices_with_shapes_from_the_config(tmp_path: Path, rows, columns) -> None:
    random = np.random.default_rng(rows)
    indices = random.integers(0, 4096, rows * columns)
    packed = []
    for a, b in indices.reshape(-1, 2).tolist():  # bytes by the formula of docs/format.md
        packed += [a & 0xFF, (a >> 8) | ((b & 0xF) << 4), b >> 4]
    book = random.standard_normal(4096).astype(np.float32)
    tensors = {
        "m.codebook": ("F32", book),
        "m.indices": ("U8", np.array(packed, np.uint8)),
    }
    folder = write_folder(tmp_path, tensors, module_shapes={"m": [rows, columns]})
    expected = book[indices].reshape(rows, columns)
    assert np.array_equal(decode_module(folder, "m"), expected)


@pytest.mark.parametrize("dtype", ["U16", "I16"])
def test_wide_indices(tmp_path: Path, dtype: str) -> None:
    book = np.arange(40_000, dtype=np.float32)
    indices = np.array([[0, 39_999], [32_768, 300]], np.uint16)
    folder = write_folder(tmp_path, {"m.codebook": ("F32", book), "m.indices": (dtype, indices)})
    assert np.array_equal(decode_module(folder, "m"), indices.astype(np.float32))


def test_exact_tensors_of_every_type(tmp_path: Path) -> None:
    values = np.array([1.5, -0.25, 3.0])
    bits = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    tensors = {
        "a": ("F64", values),
        "b": ("F32", values.astype(np.float32)),
        "c": ("F16", values.astype(np.float16)),
        "d": ("BF16", bits),
        "e": ("I64", np.array([2**40])),
    }
    checkpoint = read_checkpoint(write_folder(tmp_path, {**parts(), **tensors}))
    for key in "abcd":
        assert checkpoint[key].dtype == np.float32
        assert np.array_equal(checkpoint[key], values)
    assert checkpoint["e"] == 2**40
    assert sorted(checkpoint) == ["a", "b", "c", "d", "e", "m.weight"]
    assert len(checkpoint) == 6
    with pytest.raises(KeyError, match=r"lm_head\.weight"):
        checkpoint["lm_head.weight"]


def test_exact_tensor_wins_and_empty_one_is_nothing(tmp_path: Path) -> None:
    exact = ("F32", np.full((2, 3), 7, np.float32))
    folder = write_folder(tmp_path, {**parts(), "m.weight": exact})
    assert read_checkpoint(folder)["m.weight"].tolist() == exact[1].tolist()
    assert decode_module(folder, "m")[0, 0] == 1
    write_folder(tmp_path, {**parts(), "m.weight": ("F32", np.zeros(0, np.float32))})
    with pytest.warns(UserWarning, match=r"ignored keys: m\.weight"):
        assert read_checkpoint(folder)["m.weight"][0, 0] == 1


def test_bare_parameter(tmp_path: Path) -> None:
    tensors = {key.replace("m.", "x.A_log."): value for key, value in parts().items()}
    folder = write_folder(tmp_path, tensors, compressed_modules=["x.A_log"])
    assert list(read_checkpoint(folder)) == ["x.A_log"]


def test_shards(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, parts())
    (folder / "model.safetensors").unlink()
    one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    write_file(folder / one, {"m.codebook": parts()["m.codebook"]})
    write_file(folder / two, {"m.indices": parts()["m.indices"]})
    write_index(folder, {"m.codebook": one, "m.indices": two})
    assert decode_module(folder, "m").tolist() == [[1, 2, 3], [3, 2, 1]]


def write_index(folder: Path, weight_map: dict) -> None:
    text = json.dumps({"weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(text)


# What a reader must refuse: broken modules

INFINITE = floats(1, float("inf"), 3)
BROKEN_MODULES = {
    "index beyond the codebook": ({"m.codebook": floats(1, 2)}, "index 2 into a codebook of 2"),
    "empty codebook": ({"m.codebook": floats()}, "0 entries"),
    "codebook of rank 3": ({"m.codebook": ("F32", np.ones((3, 1, 1), np.float32))}, "rank 3"),
    "codebook of F16": ({"m.codebook": ("F16", np.ones(3, np.float16))}, "F16, expected F32"),
    "codebook not finite": ({"m.codebook": INFINITE}, "codebook: a value is not finite"),
    "vectors of no weights": ({"m.codebook": ("F32", np.ones((3, 0), np.float32))}, "of 0 weights"),
    "indices of rank 3": ({"m.indices": ("U8", np.zeros((1, 2, 3), np.uint8))}, "cannot be"),
    "flat wide indices": ({"m.indices": ("U16", np.zeros(6, np.uint16))}, "cannot be indices"),
    "indices of I32": ({"m.indices": ("I32", np.zeros((2, 3), np.int32))}, "cannot be indices"),
    "packed without a shape": ({"m.indices": ("U8", np.zeros(9, np.uint8))}, "nothing tells"),
    "no codebook": ({"m.codebook": None}, "codebook is missing"),
    "no indices": ({"m.indices": None}, "indices is missing"),
    "values without positions": ({"m.sidecar_values": floats(1)}, "half of a sidecar"),
    "positions without values": ({"m.sidecar_positions": positions(1)}, "half of a sidecar"),
    "lengths differ": ({**SIDECAR, "m.sidecar_values": floats(1)}, "not one position per value"),
    "unsorted": ({**SIDECAR, "m.sidecar_positions": positions(5, 1)}, "strictly ascending"),
    "duplicate": ({**SIDECAR, "m.sidecar_positions": positions(1, 1)}, "strictly ascending"),
    "negative": ({**SIDECAR, "m.sidecar_positions": positions(-1, 1)}, "outside the 6 weights"),
    "beyond the end": ({**SIDECAR, "m.sidecar_positions": positions(1, 6)}, "outside the 6"),
    "value not finite": ({**SIDECAR, "m.sidecar_values": floats(1, np.nan)}, "not finite"),
    "positions of F32": ({**SIDECAR, "m.sidecar_positions": floats(1, 5)}, "expected I64"),
    "both synonyms": ({**SIDECAR, "m.sidecar_indices": positions(1, 5)}, "both"),
    "part of an SVD": ({"m.svd_s": floats(1)}, "only svd_s of the low-rank part"),
    "scales of wrong length": ({"m.channel_scales": floats(1, 2)}, "2 channel scales"),
    "scale of zero": ({"m.channel_scales": floats(1, 0, 2)}, "scale is zero"),
    "scale not finite": ({"m.channel_scales": INFINITE}, "channel_scales: a value is not finite"),
}


@pytest.mark.parametrize("name", BROKEN_MODULES)
def test_broken_modules_are_refused(tmp_path: Path, name: str) -> None:
    changes, message = BROKEN_MODULES[name]
    tensors = {key: value for key, value in {**parts(), **changes}.items() if value is not None}
    with pytest.raises(FormatError, match=message):
        decode_module(write_folder(tmp_path, tensors), "m")


def test_low_rank_part_that_does_not_fit(tmp_path: Path) -> None:
    u, vt = np.ones((2, 2), np.float32), np.ones((1, 3), np.float32)
    svd = {"m.svd_U": ("F32", u), "m.svd_s": floats(1), "m.svd_Vt": ("F32", vt)}
    with pytest.raises(FormatError, match="does not fit"):
        decode_module(write_folder(tmp_path, {**parts(), **svd}), "m")


@pytest.mark.parametrize("shape", [[2, 2], [3, 3], [2, -3], [2], "2x3", [2, 3.0]])
def test_packed_indices_that_do_not_fit(tmp_path: Path, shape) -> None:
    tensors = {**parts(), "m.indices": ("U8", np.zeros(9, np.uint8))}
    folder = write_folder(tmp_path, tensors, module_shapes={"m": shape})
    with pytest.raises(FormatError, match=r"packed indices of a|module_shapes of m is"):
        decode_module(folder, "m")


# Broken containers


@pytest.mark.parametrize("listed", ["m", {"m": 1}, {}, 0, [1]])
def test_compressed_modules_that_is_no_list(tmp_path: Path, listed) -> None:
    folder = write_folder(tmp_path, parts(), compressed_modules=listed)
    with pytest.raises(FormatError, match="not a list of names"):
        read_checkpoint(folder)


def test_listed_module_that_is_absent(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, parts(), compressed_modules=["m", "n"])
    with pytest.raises(FormatError, match="listed module n is missing"):
        read_checkpoint(folder)


def test_other_methods_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="'gptq' is not HXQ"):
        read_checkpoint(write_folder(tmp_path, parts(), quant_method="gptq"))


def entry(dtype: str, shape: list, begin: int, end: int) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


BROKEN_HEADERS = {
    "not JSON": (b"{", b"", "header"),
    "not UTF-8": (b'{"\xff": 1}', b"", "header"),
    "not an object": (b"[]", b"", "expected a JSON object"),
    "duplicate key": (b'{"a": 1, "a": 1}', b"", "same key twice"),
    "metadata": (b'{"__metadata__": {"a": 1}}', b"", "not an object of strings"),
    "unknown dtype": ({"a": entry("F99", [1], 0, 4)}, b"1234", "unknown dtype 'F99'"),
    "dtype no string": ({"a": entry([], [1], 0, 4)}, b"1234", "unknown dtype"),
    "tensor no object": ({"a": 3}, b"", "unknown dtype None"),
    "negative extent": ({"a": entry("U8", [-1], 0, 0)}, b"", "shape is"),
    "fractional extent": ({"a": entry("U8", [1.0], 0, 1)}, b"1", "shape is"),
    "true as extent": ({"a": entry("U8", [True], 0, 1)}, b"1", "shape is"),
    "overflow": ({"a": entry("U8", [2**40, 2**40], 0, 1)}, b"1", "overflows 64 bits"),
    "too many bytes": ({"a": entry("F32", [1], 0, 8)}, b"12345678", "for 4 bytes"),
    "one offset": ({"a": {"dtype": "U8", "shape": [], "data_offsets": [0]}}, b"1", "data_offsets"),
    "backward offsets": ({"a": entry("U8", [1], 1, 0)}, b"1", "data_offsets are"),
    "past the end": ({"a": entry("U8", [4], 0, 4)}, b"123", "ends at 4 of 3"),
    "gap": ({"a": entry("U8", [1], 0, 1), "b": entry("U8", [1], 2, 3)}, b"123", "leaves a gap"),
    "overlap": ({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, b"123", "overlaps"),
    "trailing bytes": ({"a": entry("U8", [1], 0, 1)}, b"123", "2 bytes after the last tensor"),
}


@pytest.mark.parametrize("name", BROKEN_HEADERS)
def test_broken_headers_are_refused(tmp_path: Path, name: str) -> None:
    header, data, message = BROKEN_HEADERS[name]
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    write_raw(tmp_path / "x.safetensors", text, data)
    with pytest.raises(FormatError, match=message):
        read_safetensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "too short"),
        (b"1234567", "too short"),
        (struct.pack("<Q", 10) + b"{}", "truncated"),
        (struct.pack("<Q", 2**63) + b"{}", "header of 9223372036854775808 bytes"),
        (struct.pack("<Q", 100_000_001) + b"{}", "header of 100000001 bytes"),
    ],
)
def test_cut_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read_safetensors(tmp_path / "x")


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"m.codebook": "absent.safetensors"}, "absent.safetensors is absent"),
        ({"m.codebook": "../one.safetensors"}, "not the name of a file in the folder"),
        ({"m.codebook": "/etc/passwd"}, "not the name of a file in the folder"),
        ({"m.codebook": ".."}, "not the name of a file in the folder"),
        ({"m.codebook": 5}, "not the name of a file in the folder"),
        ({"other": "one.safetensors"}, r"tensor other is not in one\.safetensors"),
        ([], "weight_map is not an object"),
    ],
)
def test_broken_shard_indices_are_refused(tmp_path: Path, weight_map, message: str) -> None:
    folder = write_folder(tmp_path, parts())
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    write_index(folder, weight_map)
    with pytest.raises(FormatError, match=message):
        read_checkpoint(folder)


def test_folders_without_their_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"config\.json: no such file"):
        read_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FormatError, match=r"neither model\.safetensors nor"):
        read_checkpoint(tmp_path)


def test_every_cut_of_a_good_file_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {**parts(), **SIDECAR})
    whole = (folder / "model.safetensors").read_bytes()
    for size in range(0, len(whole), 7):
        (folder / "model.safetensors").write_bytes(whole[:size])
        with pytest.raises(FormatError):
            read_checkpoint(folder)


# The command


def run(*arguments: str | Path) -> subprocess.CompletedProcess:
    script = Path(reference_decoder.__file__)
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {**parts(), **SIDECAR, "n": floats(1)})
    done = run(folder, "--sha256", "--out", tmp_path / "dense.npz")
    dense = np.array([[1, 20, 3], [3, 2, 60]], np.float32)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"m [2, 3] {hashlib.sha256(dense.tobytes()).hexdigest()}\n"
    with np.load(tmp_path / "dense.npz") as arrays:
        assert sorted(arrays) == ["m.weight", "n"]
        assert np.array_equal(arrays["m.weight"], dense)
    (folder / "config.json").unlink()
    broken = run(folder)
    assert broken.returncode == 1
    assert "no such file" in broken.stderr


def test_numpy_is_all_it_needs() -> None:
    code = "import sys, helix_substrate.reference_decoder; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    root = str(Path(reference_decoder.__file__).parents[1])
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": root}
    )
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert not loaded & {"torch", "transformers", "safetensors"}


def test_headers_of_random_bytes_never_crash(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {**parts(), **SIDECAR})
    whole = bytearray((folder / "model.safetensors").read_bytes())
    random = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(400):
            changed = bytearray(whole)
            for at in random.integers(0, len(whole), 3):
                changed[at] = random.integers(0, 256)
            (folder / "model.safetensors").write_bytes(changed)
            try:
                decode_module(folder, "m")
            except reference_safetensors.FormatError:
                continue
