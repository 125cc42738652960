"""Every checkpoint of the earlier software loads and computes what its dense twin does."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_models import MAJOR, same_tensors
from transformers import AutoModelForCausalLM

from helix_substrate.torch import CompressedModule
from helix_substrate.transformers.shells import shells_of

REPOSITORY = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("HELIX_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
ROOT = DATA / "hxq-reference"
NAMES = sorted(path.name.removesuffix(".expected") for path in ROOT.glob("*.expected"))
if not NAMES:
    pytest.skip(f"no reference checkpoints in {ROOT}; set HELIX_TEST_DATA", allow_module_level=True)


def load(name, **options):
    model, info = AutoModelForCausalLM.from_pretrained(
        ROOT / name, dtype=torch.float32, output_loading_info=True, **options
    )
    assert not any(info.values()), info
    return model


@pytest.fixture(scope="module")
def expected():
    def get(name):
        facts = json.loads((ROOT / f"{name}.expected" / "expected.json").read_text())
        return facts, load_file(ROOT / f"{name}.expected" / "expected.safetensors")

    return get


@torch.no_grad()
def logits(model, tensors):
    return model(tensors["input_ids"]).logits


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_the_dense_twin(name, expected):
    facts, tensors = expected(name)
    difference = (logits(load(name), tensors) - tensors["logits"]).abs().max().item()
    assert difference <= facts["logits"]["tolerance_abs"]


@pytest.mark.parametrize("name", NAMES)
def test_every_module_is_decoded_to_the_expected_matrix(name, expected):
    facts, tensors = expected(name)
    modules = {path: m for path, m in shells_of(load(name)).items() if m._tied is None}
    for path, module in modules.items():
        want = tensors[f"{path}.weight"]
        limit = 0 if facts["modules"][path]["bit_exact"] else 1e-6 * want.abs().max().item()
        assert (module.dequantize() - want).abs().max().item() <= limit, path
    overruled = {key for key in facts["modules"] if f"{key}.decoded" in tensors}
    assert modules.keys() == facts["modules"].keys() - overruled


@pytest.mark.parametrize("name", NAMES)
def test_saved_again_they_are_written_strictly(name, tmp_path, verify):
    if MAJOR < 5 and name.startswith(("mamba2", "zamba2")):
        pytest.skip("that version cannot save these models with tied weights, dense ones neither")
    model = load(name)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert same_tensors(model.state_dict(), again.state_dict())
    stored = load_file(tmp_path / "model.safetensors")
    assert not any(key.endswith(("sidecar_indices", "codebook_f16")) for key in stored)
    assert all(t.dtype != torch.int16 for t in stored.values())
    positions = [key for key in stored if key.endswith("sidecar_positions")]
    assert all(stored[key].dtype == torch.int64 for key in positions)
    verify(tmp_path)


def test_ignored_keys_are_named_in_a_warning(caplog):
    from transformers.utils import logging

    logging.enable_propagation()
    with caplog.at_level("WARNING", logger="helix_substrate"):
        load("llama-old-names-cdna")
    logging.disable_propagation()
    assert "model.layers.0.input.layernorm.weight" in caplog.text


def test_a_compressed_embedding_is_used_as_codes():
    model = load("llama-old-names-cdna")
    assert isinstance(model.get_input_embeddings(), CompressedModule)
    assert isinstance(model.get_output_embeddings(), CompressedModule)
