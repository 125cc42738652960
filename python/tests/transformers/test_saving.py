"""save_pretrained: the same tensors again, in shards too, and a folder that others accept."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from small_models import MODELS, logits_of, same_tensors

import helix_substrate
from helix_substrate.torch import HelixLinear

NAMES = ["llama", "qwen2", "gpt2", "mamba", "mixtral", "zamba2", "bert"]
NAMES = [name for name in NAMES if name in MODELS]


@pytest.mark.parametrize("name", NAMES)
def test_shards_hold_the_same_tensors(name, compressed, load, tmp_path, verify):
    model = load(name, compressed(name))
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert same_tensors(load(name, tmp_path).state_dict(), model.state_dict())
    verify(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_saving_again_writes_the_same_bytes(name, compressed, load, tmp_path):
    load(name, compressed(name)).save_pretrained(tmp_path)
    first, second = (load_file(f / "model.safetensors") for f in (compressed(name), tmp_path))
    assert same_tensors(first, second)
    configs = [(f / "config.json").read_text() for f in (compressed(name), tmp_path)]
    assert configs[0] == configs[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_written_strictly(name, compressed, quantization):
    fields = quantization(compressed(name))
    assert fields["quant_method"] == "hxq"
    assert fields["vector_dim"] == 1
    assert fields["codebook_size"] == fields["n_clusters"] == 256
    modules = fields["compressed_modules"]
    tensors = load_file(compressed(name) / "model.safetensors")
    assert len(modules) == MODELS[name][2]
    for module in modules:
        assert tensors[f"{module}.codebook"].dtype == torch.float32
        assert tensors[f"{module}.indices"].dtype == torch.uint8
        assert f"{module}.weight" not in tensors
    with safe_open(compressed(name) / "model.safetensors", "pt") as opened:
        assert opened.metadata() == {"format": "pt"}


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
def test_the_program_decompresses_it_to_the_dequantised_model(name, compressed, load, tmp_path):
    helix_substrate.decompress(compressed(name), tmp_path / "dense", progress=False)
    dense = load(name, tmp_path / "dense")
    twin = load(name, compressed(name)).dequantize()
    assert same_tensors(dense.state_dict(), twin.state_dict())


def test_the_native_engine_opens_it(compressed):
    assert helix_substrate.load(compressed("qwen2")).logits([3, 4]).shape == (2, 128)


def test_unknown_fields_survive(compressed, load, tmp_path, quantization):
    model = load("llama", compressed("llama"))
    model.config.quantization_config.made_by = {"someone": [1]}
    model.save_pretrained(tmp_path)
    load("llama", tmp_path).save_pretrained(tmp_path / "again")
    assert quantization(tmp_path / "again")["made_by"] == {"someone": [1]}


def test_a_module_made_dense_is_no_longer_listed(compressed, load, tmp_path, quantization, verify):
    model = load("llama", compressed("llama"))
    attention = model.model.layers[0].self_attn
    attention.q_proj = attention.q_proj.to_dense()
    model.save_pretrained(tmp_path)
    assert "model.layers.0.self_attn.q_proj" not in quantization(tmp_path)["compressed_modules"]
    verify(tmp_path)
    assert torch.equal(logits_of(load("llama", tmp_path), "llama"), logits_of(model, "llama"))


def test_dequantised_it_is_an_ordinary_model(compressed, load, tmp_path):
    model = load("llama", compressed("llama"))
    twin = load("llama", compressed("llama")).dequantize()
    assert not any(isinstance(module, HelixLinear) for module in twin.modules())
    assert not hasattr(twin.config, "quantization_config")
    twin.save_pretrained(tmp_path)
    plain = load("llama", tmp_path)
    assert not hasattr(plain, "hf_quantizer")
    assert (logits_of(plain, "llama") - logits_of(model, "llama")).abs().max() <= 1e-4
