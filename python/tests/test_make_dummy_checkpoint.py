"""tools/make_dummy_checkpoint.py: names, shapes, sizes and statistics of what it writes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from make_dummy_checkpoint import make_checkpoint, parse_size, tensor_shapes

SMALL = {
    "model_type": "qwen2",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 300,
    "tie_word_embeddings": True,
}


def read_headers(folder: Path) -> dict[str, dict]:
    entries = {}
    for path in sorted(folder.glob("*.safetensors")):
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        assert size % 8 == 0
        header = json.loads(content[8 : 8 + size])
        header.pop("__metadata__")
        data = content[8 + size :]
        assert len(data) == max(entry["data_offsets"][1] for entry in header.values())
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            entries[name] = {**entry, "file": path.name, "data": data[begin:end]}
    return entries


def write_config(tmp_path: Path, **changes) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**SMALL, **changes}))
    return path


def as_float(entry: dict) -> np.ndarray:
    bits = np.frombuffer(entry["data"], np.uint16).astype(np.uint32) << 16
    return bits.view(np.float32)


def test_one_file(tmp_path: Path) -> None:
    make_checkpoint(write_config(tmp_path), tmp_path / "out", "BF16", 1 << 30, seed=1)
    tensors = read_headers(tmp_path / "out")
    assert len(tensors) == 2 * (9 + 3) + 2
    assert tensors["model.layers.1.self_attn.k_proj.weight"]["shape"] == [64, 256]
    assert tensors["model.layers.1.self_attn.k_proj.bias"]["shape"] == [64]
    assert "lm_head.weight" not in tensors
    down = as_float(tensors["model.layers.0.mlp.down_proj.weight"])
    assert abs(down.std() * 512**0.5 - 1) < 0.02
    assert abs(as_float(tensors["model.norm.weight"]).mean() - 1) < 0.05
    other = as_float(tensors["model.layers.1.mlp.down_proj.weight"])
    assert not np.array_equal(down, other)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_shards(tmp_path: Path) -> None:
    make_checkpoint(write_config(tmp_path), tmp_path / "out", "F32", 1_000_000, seed=1)
    tensors = read_headers(tmp_path / "out")
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["weight_map"] == {name: entry["file"] for name, entry in tensors.items()}
    assert index["metadata"]["total_size"] == sum(len(entry["data"]) for entry in tensors.values())
    assert len(set(index["weight_map"].values())) > 2
    for path in (tmp_path / "out").glob("*.safetensors"):
        assert path.stat().st_size < 1_010_000


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_checkpoint(config, tmp_path / name, "F16", 1 << 30, seed)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_unfit_configs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'gpt2' is not supported"):
        tensor_shapes({"model_type": "gpt2"})
    with pytest.raises(KeyError, match="vocab_size"):
        tensor_shapes({"model_type": "llama", "hidden_size": 8})


def test_sizes() -> None:
    assert parse_size("5GB") == 5_000_000_000
    assert parse_size("1.5 GiB") == 3 << 29
    assert parse_size("123") == 123
    for text in ("", "GB", "5 parsecs", "-1", "5IB"):
        with pytest.raises(argparse.ArgumentTypeError):
            parse_size(text)


@pytest.mark.parametrize(
    ("name", "tensors", "linears", "parameters"),
    [
        ("TinyLlama-1.1B-Chat-v1.0", 201, 154, 1_100_048_384),
        ("Qwen2.5-Coder-3B-Instruct", 434, 252, 3_085_938_688),
    ],
)
def test_real_shapes(test_data: Path, name, tensors, linears, parameters) -> None:
    config = json.loads((test_data / "configs" / f"{name}.config.json").read_text())
    shapes = tensor_shapes(config)
    assert len(shapes) == tensors
    assert sum(key.endswith("_proj.weight") for key in shapes) == linears
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == parameters
