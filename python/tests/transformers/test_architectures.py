"""Every architecture, compressed while loading and offline, against its dequantised twin."""

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from small_models import GENERATING, IDS, MODELS, OPTIONS, inputs_of, logits_of, make, same_tensors
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import nn

import helix_substrate
from helix_substrate import HxqConfig
from helix_substrate.torch.replace import compress_modules, dequantize
from helix_substrate.transformers.shells import shells_of

NATIVE = ["llama", "llama-biased", "qwen2"]
TOLERANCE = 1e-4  # of the logits, F32, which are of the order of 1


@pytest.fixture(scope="module")
def offline(dense, tmp_path_factory):
    """The folder of a small model compressed by the program, written once."""
    root = tmp_path_factory.mktemp("offline")

    def get(name):
        folder = root / name
        if not folder.exists():
            helix_substrate.compress(dense(name), folder, **OPTIONS, progress=False)
        return folder

    return get


def dequantised(model):
    return copy.deepcopy(model).dequantize()


def difference(a, b):
    return (a - b).abs().max().item()


def greedy(model):
    with torch.no_grad():
        return model.generate(IDS, max_new_tokens=12, do_sample=False)[0].tolist()


@pytest.mark.parametrize("name", MODELS)
def test_compressed_while_loading_saved_and_loaded(name, compressed, load, quantization):
    folder = compressed(name)
    assert len(quantization(folder)["compressed_modules"]) == MODELS[name][2]
    model = load(name, folder)
    twin = dequantised(model)
    assert difference(logits_of(model, name), logits_of(twin, name)) <= TOLERANCE
    # The twin is the original model but for the compression.
    original = make(name)
    assert type(twin) is type(original)
    assert twin.state_dict().keys() == original.state_dict().keys()
    relative = logits_of(twin, name) - logits_of(original, name)
    assert 0 < relative.norm() < 0.2 * logits_of(original, name).norm()


@pytest.mark.parametrize("name", MODELS)
def test_the_offline_program_makes_the_same_codes(name, offline, compressed, load):
    model = load(name, offline(name))
    if name == "gpt2":  # only loading can place its transposed matrices
        assert not shells_of(model)
        return
    loaded = load(name, compressed(name))
    assert same_tensors(model.state_dict(), loaded.state_dict())
    assert difference(logits_of(model, name), logits_of(dequantised(model), name)) <= TOLERANCE


@pytest.mark.parametrize("name", GENERATING)
def test_greedy_tokens_are_those_of_the_dequantised_twin(name, compressed, load):
    model = load(name, compressed(name))
    tokens = greedy(model)
    assert len(set(tokens[12:])) > 1, "a model that repeats one token tests nothing"
    assert tokens == greedy(dequantised(model))


@pytest.mark.parametrize("name", NATIVE)
def test_the_native_engine_generates_the_same_tokens(name, compressed, load):
    native = helix_substrate.load(compressed(name), precision="f32")
    model = load(name, compressed(name))
    with torch.no_grad():
        want = model(IDS).logits[0]
    got = torch.from_numpy(native.logits(IDS[0].tolist()))
    assert difference(got, want) <= TOLERANCE
    made = native.generate(IDS[0].tolist(), max_tokens=12, temperature=0)
    assert greedy(model) == IDS[0].tolist() + list(made.tokens)


@pytest.fixture(scope="module")
def program():
    """The compiled program: $HELIX_CLI, or the one that `make build` made."""
    default = Path(__file__).parents[3] / "build/dev/apps/cli/helix"
    path = Path(os.environ.get("HELIX_CLI", default))
    if not path.is_file():
        pytest.skip(f"no program at {path}; set HELIX_CLI")
    return path


def write_tokenizer(folder):
    """One token for each of 128 bytes; returns the text of IDS."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())[:128]  # "!" is 0, """ is 1, and so on
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    return "".join(alphabet[i] for i in IDS[0])


@pytest.mark.parametrize("name", NATIVE)
def test_the_program_generates_the_same_tokens(name, compressed, load, program, tmp_path):
    folder = shutil.copytree(compressed(name), tmp_path / "model")
    command = [program, "generate", folder, write_tokenizer(folder), "--max-tokens", "12"]
    run = subprocess.run(
        [*command, "--precision", "f32", "--json", "--quiet"], stdout=subprocess.PIPE, check=True
    )
    made = json.loads(run.stdout)["tokens"]
    assert greedy(load(name, compressed(name))) == IDS[0].tolist() + made


@pytest.mark.parametrize("name", MODELS)
def test_compressing_in_memory_and_loading_again_is_the_same(name, dense, compressed, load):
    model = load(name, dense(name), quantization_config=HxqConfig(**OPTIONS))
    again = load(name, compressed(name))
    assert same_tensors(model.state_dict(), again.state_dict())
    assert torch.equal(model(**inputs_of(name))[0], again(**inputs_of(name))[0])


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "zamba2"])
def test_sixteen_bit_models(name, compressed, load):
    if name not in MODELS:
        pytest.skip("this version of transformers cannot save that model")
    model = load(name, compressed(name), dtype=torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert all(s.codes.codebook.dtype == torch.float32 for s in shells_of(model).values())
    got = logits_of(model, name).float()
    want = logits_of(dequantised(model), name).float()
    assert (got - want).norm() <= 0.05 * want.norm()


def plain_mlp():
    return nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 64), nn.Linear(64, 48))


def convolutions_with_a_linear_head():
    pooled = [nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), *pooled, nn.Linear(128, 80))


@pytest.mark.parametrize(
    ("make_model", "shape", "count"),
    [(plain_mlp, (5, 64), 3), (convolutions_with_a_linear_head, (2, 3, 12, 12), 1)],
)
@torch.no_grad()
def test_plain_torch_models(make_model, shape, count):
    torch.manual_seed(0)
    model = make_model().eval()
    x = torch.randn(shape)
    dense = model(x)
    assert len(compress_modules(model).modules) == count
    got = model(x)
    assert difference(got, dequantize(copy.deepcopy(model))(x)) <= TOLERANCE
    assert 0 < (got - dense).norm() < 0.1 * dense.norm()
