"""Each way to be wrong is refused before loading, with file, module, expected and found."""

import json

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from small_models import MODELS

from helix_substrate import CorruptDataError, UnsupportedError

UP = "model.layers.0.mlp.up_proj"


def drop(key):
    return lambda tensors: tensors.pop(key)


def put(key, make):
    return lambda tensors: tensors.update({key: make(tensors)})


def last_of(key, value):
    def change(tensors):
        tensors[key] = tensors[key].clone()
        tensors[key][-1] = value

    return change


def short_codebook(tensors):
    tensors[f"{UP}.codebook"] = tensors[f"{UP}.codebook"][:-1].clone()


# What is done to the tensors, and what the message must say.
FAULTS = {
    "no codebook": (drop(f"{UP}.codebook"), "codebook.*none"),
    "no indices": (drop(f"{UP}.indices"), "indices.*none"),
    "half a sidecar": (drop(f"{UP}.sidecar_values"), "sidecar_values.*none"),
    "the other half": (drop(f"{UP}.sidecar_positions"), "sidecar_positions.*none"),
    "both synonyms": (
        put(f"{UP}.sidecar_indices", lambda t: t[f"{UP}.sidecar_positions"].clone()),
        "both",
    ),
    "a codebook of F16": (
        put(f"{UP}.codebook", lambda t: t[f"{UP}.codebook"].half()),
        "expected dtype F32, found F16",
    ),
    "an empty codebook": (put(f"{UP}.codebook", lambda _: torch.empty(0)), r"\[0\]"),
    "indices of another shape": (
        put(f"{UP}.indices", lambda t: t[f"{UP}.indices"][:-1].clone()),
        r"96 x 64.*\[95, 64\]",
    ),
    "indices of I64": (put(f"{UP}.indices", lambda t: t[f"{UP}.indices"].long()), "found I64"),
    "packed indices of another length": (
        put(f"{UP}.indices", lambda _: torch.zeros(99, dtype=torch.uint8)),
        r"96 x 64.*\[99\]",
    ),
    "an index beyond the codebook": (short_codebook, "index 255 into a codebook of 255 entries"),
    "a level that is not finite": (last_of(f"{UP}.codebook", float("nan")), "not finite"),
    "an outlier that is not finite": (last_of(f"{UP}.sidecar_values", float("inf")), "not finite"),
    "a position beyond the matrix": (last_of(f"{UP}.sidecar_positions", 96 * 64), "outside"),
    "a position twice": (last_of(f"{UP}.sidecar_positions", 0), "ascending"),
    "fewer positions than values": (
        put(f"{UP}.sidecar_positions", lambda t: t[f"{UP}.sidecar_positions"][:-1].clone()),
        "expected shape",
    ),
    "part of an SVD": (put(f"{UP}.svd_s", lambda _: torch.ones(2)), "svd_U"),
    "channel scales of another number": (
        put(f"{UP}.channel_scales", lambda _: torch.ones(63)),
        r"\[64\].*\[63\]",
    ),
    "a channel scale of zero": (put(f"{UP}.channel_scales", lambda _: torch.zeros(64)), "zero"),
}


@pytest.fixture
def broken(compressed, tmp_path):
    """A folder of the small llama with some tensors changed."""

    def get(change, config=lambda fields: None):
        folder = compressed("llama")
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
        fields = json.loads((folder / "config.json").read_text())
        config(fields["quantization_config"])
        (tmp_path / "config.json").write_text(json.dumps(fields))
        return tmp_path

    return get


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_is_named(fault, broken):
    change, message = FAULTS[fault]
    folder = broken(change)
    with pytest.raises(CorruptDataError, match=message) as caught:
        MODELS["llama"][0].from_pretrained(folder)
    assert UP in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_listed_module_that_is_absent(broken):
    folder = broken(lambda _: None, lambda fields: fields["compressed_modules"].append("a.b"))
    with pytest.raises(CorruptDataError, match=r"a\.b is listed"):
        MODELS["llama"][0].from_pretrained(folder)


def test_a_file_that_is_cut_off(broken):
    folder = broken(lambda _: None)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises((CorruptDataError, OSError, SafetensorError)):
        MODELS["llama"][0].from_pretrained(folder)


def test_codes_where_the_model_has_a_vector(broken):
    def change(tensors):
        del tensors["model.norm.weight"]
        for part in ("codebook", "indices"):
            tensors[f"model.norm.{part}"] = tensors[f"{UP}.{part}"].clone()

    with pytest.raises(UnsupportedError, match=r"model\.norm"):
        MODELS["llama"][0].from_pretrained(broken(change))


def test_a_state_dict_alone_is_refused(compressed):
    folder = compressed("llama")
    state = load_file(folder / "model.safetensors")
    config = MODELS["llama"][0].config_class.from_pretrained(folder)
    with pytest.raises((UnsupportedError, OSError)):
        MODELS["llama"][0].from_pretrained(None, config=config, state_dict=state)


def test_what_the_model_cannot_run_is_decoded(broken, compressed):
    """A router's matrix, here: codes in the file, a dense parameter in the model."""
    folder = compressed("qwen2-moe")
    tensors = load_file(folder / "model.safetensors")
    key = "model.layers.0.mlp.gate"
    tensors.pop(f"{key}.weight")
    levels = torch.linspace(-1, 1, 7)
    indices = (torch.arange(4 * 64) % 7).view(4, 64).to(torch.uint8)
    tensors |= {f"{key}.codebook": levels, f"{key}.indices": indices}
    target = broken(lambda _: None)
    save_file(tensors, target / "model.safetensors", {"format": "pt"})
    (target / "config.json").write_text((folder / "config.json").read_text())
    model, info = MODELS["qwen2-moe"][0].from_pretrained(target, output_loading_info=True)
    assert not any(info.values()), info
    gate = model.model.layers[0].mlp.gate
    assert torch.equal(gate.weight, levels[indices.long()])
