"""decompress against the reference decoder, bit for bit, on every kind of checkpoint there is."""

import shutil

import numpy as np
import pytest

from helix_program import (
    FIXTURES,
    MODELS,
    REPOSITORY,
    TEST_DATA,
    UNSUPPORTED,
    dense_arrays,
    leftovers,
    random_matrix,
    read_json,
    rewrite,
    write_model,
)
from helix_substrate.reference_decoder import read_checkpoint
from helix_substrate.reference_safetensors import read_safetensors, read_tensors
from model_folder import bfloat16_bits

HARD_OPTIONS = ["--k", "400", "--embeddings", "--lm-head", "--outliers", "1%"]


def same_bits(a, b):
    return a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_reference_decoder_reads_the_same_bits(helix, compressed, tmp_path, name):
    helix.succeed("compress", FIXTURES / name, tmp_path / "hard", *HARD_OPTIONS)
    for source in (compressed(name), tmp_path / "hard"):
        dense = tmp_path / f"{source.parent.name}-dense"
        helix.succeed("decompress", source, dense, "--dtype", "f32")
        ours, reference = dense_arrays(dense), read_checkpoint(source)
        assert sorted(ours) == sorted(reference)
        for key in ours:
            assert same_bits(ours[key], reference[key]), key


@pytest.mark.parametrize("name", MODELS)
def test_the_dense_folder_is_whole_again(helix, compressed, tmp_path, name):
    helix.succeed("decompress", compressed(name), tmp_path / "dense")
    before, after = read_tensors(FIXTURES / name), read_tensors(tmp_path / "dense")
    tied = {"lm_head.weight"} if name == "llama-tied-copy" else set()
    assert after.keys() == before.keys() - tied
    named = read_json(FIXTURES / name / "config.json")["torch_dtype"]
    modules = read_json(compressed(name) / "config.json")["quantization_config"]
    modules = {f"{module}.weight" for module in modules["compressed_modules"]}
    for key, tensor in after.items():
        assert tensor.data.shape == before[key].data.shape
        if key in modules:
            assert tensor.dtype == {"float32": "F32", "bfloat16": "BF16"}[named]
        else:
            assert tensor.dtype == before[key].dtype
            assert same_bits(tensor.data, before[key].data)
    assert read_json(tmp_path / "dense/config.json") == read_json(FIXTURES / name / "config.json")
    assert leftovers(tmp_path / "dense") == []


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_element_types(helix, compressed, tmp_path, dtype):
    source = compressed("llama-mixed-types")
    helix.succeed("decompress", source, tmp_path / "dense", "--dtype", dtype)
    stored, reference = read_tensors(tmp_path / "dense"), read_checkpoint(source)
    convert = {
        "f32": lambda values: values,
        "f16": lambda values: values.astype(np.float16),
        "bf16": bfloat16_bits,
    }[dtype]
    for key in reference.dense_keys:
        assert stored[key].dtype == dtype.upper()
        assert same_bits(np.ascontiguousarray(stored[key].data), convert(reference[key]))
    for key in reference.exact:
        assert stored[key].dtype == read_tensors(source)[key].dtype


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "F32"),
        ({"torch_dtype": "float16"}, "F16"),
        ({"torch_dtype": "float32", "dtype": "bfloat16"}, "BF16"),
        ({"dtype": "float64"}, "F32"),
        ({"torch_dtype": None}, "F32"),
    ],
)
def test_default_type_is_the_one_of_the_config(helix, tmp_path, config, expected):
    arrays = {"up.weight": random_matrix(64, 64)}
    model = write_model(tmp_path / "model", arrays, {"model_type": "none", **config})
    helix.succeed("compress", model, tmp_path / "out")
    helix.succeed("decompress", tmp_path / "out", tmp_path / "dense")
    assert read_tensors(tmp_path / "dense")["up.weight"].dtype == expected


def test_a_weight_beyond_the_range_of_the_type(helix, tmp_path):
    matrix = random_matrix(64, 64)
    matrix[3, 4] = 1e5
    model = write_model(tmp_path / "model", {"up.weight": matrix})
    helix.succeed("compress", model, tmp_path / "out")
    dense = tmp_path / "dense"
    message = helix.refuse(
        UNSUPPORTED, "beyond the range of F16", "decompress", tmp_path / "out", dense, "--dtype=f16"
    )
    assert "up.weight" in message
    assert leftovers(dense) == []
    helix.succeed("decompress", tmp_path / "out", dense, "--dtype", "bf16")
    helix.succeed("decompress", tmp_path / "out", dense, "--dtype", "f32", "--force")
    assert dense_arrays(dense)["up.weight"][3, 4] == np.float32(1e5)


def test_as_many_rows_of_nothing_as_anyone_asks_for(helix, tmp_path):
    folder = shutil.copytree(REPOSITORY / "tests/golden/good/no_columns", tmp_path / "model")

    def change(tensors):
        (name,) = [name for name in tensors if name.endswith(".indices")]
        tensors[name] = np.zeros((2**60, 0), tensors[name].dtype)

    rewrite(folder, change)
    helix.succeed("decompress", folder, tmp_path / "dense")
    (weight,) = [a for a in dense_arrays(tmp_path / "dense").values() if a.size == 0]
    assert weight.shape == (2**60, 0)


def test_compressing_again_gives_the_same_codes(helix, compressed, tmp_path):
    """Decoded weights lie on the levels, so a second pass loses nothing."""
    plain = ["--column-scales", "none"]
    helix.succeed("compress", FIXTURES / "bert", tmp_path / "once", *plain)
    helix.succeed("decompress", tmp_path / "once", tmp_path / "dense")
    helix.succeed("compress", tmp_path / "dense", tmp_path / "twice", *plain)
    helix.succeed("decompress", tmp_path / "twice", tmp_path / "dense-twice")
    first, second = dense_arrays(tmp_path / "dense"), dense_arrays(tmp_path / "dense-twice")
    assert all(same_bits(first[key], second[key]) for key in first)


def test_shards(helix, compressed, tmp_path):
    helix.succeed("decompress", compressed("bert"), tmp_path / "dense", "--shard-size", "5kB")
    index = read_json(tmp_path / "dense/model.safetensors.index.json")
    names = sorted(path.name for path in (tmp_path / "dense").glob("*.safetensors"))
    assert len(names) > 3
    assert sorted(set(index["weight_map"].values())) == names
    total = sum(
        tensor.data.nbytes
        for name in names
        for tensor in read_safetensors(tmp_path / "dense" / name).values()
    )
    assert index["metadata"]["total_size"] == total
    reference = read_checkpoint(compressed("bert"))
    ours = dense_arrays(tmp_path / "dense")
    assert all(same_bits(ours[key], reference[key]) for key in reference)


def references():
    folder = TEST_DATA / "hxq-reference"
    names = [path.name.removesuffix(".expected") for path in folder.glob("*.expected")]
    return sorted(names) or [pytest.param("", marks=pytest.mark.skip("no ../shared/data"))]


@pytest.mark.filterwarnings("ignore:.*ignored keys")
@pytest.mark.parametrize("name", references())
def test_checkpoints_of_earlier_software(helix, tmp_path, name):
    folder = TEST_DATA / "hxq-reference"
    done = helix("decompress", folder / name, tmp_path / "dense", "--dtype", "f32")
    assert done.returncode == 0, done.stderr
    ours = dense_arrays(tmp_path / "dense")
    facts = read_json(folder / f"{name}.expected/expected.json")
    expected = read_safetensors(folder / f"{name}.expected/expected.safetensors")
    bit_exact = {row["dense_key"]: row["bit_exact"] for row in facts["modules"].values()}
    compared = 0
    for key, tensor in expected.items():
        if key in ("input_ids", "logits") or key.endswith((".stored", ".decoded")):
            continue
        compared += 1
        if bit_exact[key]:
            assert same_bits(ours[key], tensor.data), key
        else:
            error = np.abs(ours[key] - tensor.data).max()
            assert error <= 1e-6 * np.abs(tensor.data).max(), key
    assert compared > 0
    reference = read_checkpoint(folder / name)
    assert sorted(ours) == sorted(reference)
    for key in reference.exact:
        assert same_bits(ours[key], reference[key]), key


def test_transformers_loads_the_dense_folder(helix, compressed, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    helix.succeed("decompress", compressed("tiny-llama"), tmp_path / "dense")

    def logits(folder):
        model, info = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True
        )
        problems = {key: info[key] for key in info if key.endswith("_keys") and info[key]}
        assert not problems
        tokens = transformers.AutoTokenizer.from_pretrained(folder)("the best of times")
        with torch.no_grad():
            return model(torch.tensor([tokens.input_ids])).logits

    before, after = logits(FIXTURES / "tiny-llama"), logits(tmp_path / "dense")
    error = ((after - before) ** 2).sum() / (before**2).sum()
    assert 0 < error < 0.01
