"""tests/fixtures: what the folders hold, and that tools/make_fixture.py still makes them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from helix_substrate.reference_decoder import read_checkpoint
from helix_substrate.reference_safetensors import read_tensors
from make_fixture import FIXTURES

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures"
# What transformers renames or fuses on loading is not compared here, nor what it does not know.
LOADABLE = {
    "tiny-llama": "LlamaForCausalLM",
    "qwen2-sharded-bias": "Qwen2ForCausalLM",
    "llama-mixed-types": "LlamaForCausalLM",
    "llama-float64": "LlamaForCausalLM",
    "llama-tied-copy": "LlamaForCausalLM",
    "gpt2-conv1d": "GPT2LMHeadModel",
    "mamba": "MambaForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "bert": "BertModel",
}


@pytest.mark.parametrize("name", FIXTURES)
def test_made_again_it_is_the_same(tmp_path: Path, name: str) -> None:
    FIXTURES[name]().write(tmp_path)
    shipped = {path.name: path.read_bytes() for path in (FOLDER / name).iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == shipped


@pytest.mark.parametrize("name", FIXTURES)
def test_small_and_readable(name: str) -> None:
    size = sum(path.stat().st_size for path in (FOLDER / name).iterdir())
    assert size < (400_000 if name == "tiny-llama" else 60_000)
    checkpoint = read_checkpoint(FOLDER / name)
    assert len(checkpoint) > 10
    finite = [bool(np.isfinite(checkpoint[key]).all()) for key in checkpoint]
    assert finite.count(False) == (2 if name == "llama-not-finite" else 0)


def test_every_folder_has_its_maker() -> None:
    assert sorted(path.parent.name for path in FOLDER.glob("*/config.json")) == sorted(FIXTURES)


def test_types() -> None:
    def types(name: str) -> set[str]:
        return {tensor.dtype for tensor in read_tensors(FOLDER / name).values()}

    assert types("tiny-llama") == {"BF16"}
    assert types("llama-mixed-types") == {"F32", "F16", "BF16"}
    assert types("llama-float64") == {"F32", "F64"}
    assert types("llama-integer-buffer") == {"F32", "I64"}


@pytest.mark.parametrize("name", LOADABLE)
def test_transformers_finds_every_weight(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    model, info = getattr(transformers, LOADABLE[name]).from_pretrained(
        FOLDER / name, output_loading_info=True
    )
    unexpected = set(info["unexpected_keys"]) - {"embeddings.position_ids"}
    assert not info["missing_keys"]
    assert not unexpected
    assert not info["mismatched_keys"]
    with torch.no_grad():
        output = model(torch.tensor([[5, 7, 11, 13]]))
    assert torch.isfinite(output[0]).all()


def test_tokenizer_of_tiny_llama() -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER / "tiny-llama")
    config = json.loads((FOLDER / "tiny-llama" / "config.json").read_text())
    assert len(tokenizer) == config["vocab_size"] == 300
    text = "It was the best of times, ünd 你好\n\n  that is for they"
    ids = tokenizer(text).input_ids
    assert len(ids) < len(text.encode())
    assert tokenizer.decode(ids) == text
    messages = [{"role": "user", "content": "to be"}]
    chat = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert chat == "<|im_start|>user\nto be<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer(chat).input_ids[0] == config["bos_token_id"]
