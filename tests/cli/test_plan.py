"""The plan on every kind of checkpoint: what is compressed, what stays exact, and why."""

import json
import shutil

import numpy as np
import pytest

from helix_program import (
    ARGUMENT,
    FIXTURES,
    MODELS,
    SUCCESS,
    UNSUPPORTED,
    actions,
    dense_arrays,
    leftovers,
    random_matrix,
    read_json,
    receipt_of,
    write_model,
)
from helix_substrate.reference_safetensors import read_tensors

LLAMA_LINEARS = {
    *(f"model.layers.0.self_attn.{name}_proj.weight" for name in "qkvo"),
    *(f"model.layers.0.mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
}
# What must be compressed with 16 levels, where no matrix of the fixtures is too small.
LINEARS = {
    "tiny-llama": {
        key.replace("layers.0", f"layers.{i}") for key in LLAMA_LINEARS for i in range(2)
    },
    "qwen2-sharded-bias": LLAMA_LINEARS,
    "llama-mixed-types": LLAMA_LINEARS,
    "llama-float64": LLAMA_LINEARS,
    "llama-not-finite": LLAMA_LINEARS,  # the plan does not read weights
    "llama-integer-buffer": LLAMA_LINEARS,
    "llama-tied-copy": LLAMA_LINEARS,
    "gpt2-conv1d": set(),
    "mamba": {f"backbone.layers.0.mixer.{name}_proj.weight" for name in ("in", "x", "dt", "out")},
    "mixtral": {
        *(key for key in LLAMA_LINEARS if "self_attn" in key),
        *(
            f"model.layers.0.block_sparse_moe.experts.{expert}.{name}.weight"
            for expert in range(4)
            for name in ("w1", "w2", "w3")
        ),
    },
    "llama4-fused-experts": {
        *(key for key in LLAMA_LINEARS if "self_attn" in key),
        *(
            f"model.layers.0.feed_forward.shared_expert.{name}_proj.weight"
            for name in ("gate", "up", "down")
        ),
    },
    "bert": {
        *(
            f"encoder.layer.0.{name}.weight"
            for name in (
                *(f"attention.self.{part}" for part in ("query", "key", "value")),
                "attention.output.dense",
                "intermediate.dense",
                "output.dense",
            )
        ),
        "pooler.dense.weight",
    },
}
REASONS = {
    ("gpt2-conv1d", "transformer.h.0.attn.c_attn.weight"): "transposed linear (Conv1D)",
    ("gpt2-conv1d", "transformer.h.0.attn.c_proj.weight"): "transposed linear (Conv1D)",
    ("gpt2-conv1d", "transformer.h.0.mlp.c_fc.weight"): "transposed linear (Conv1D)",
    ("gpt2-conv1d", "transformer.h.0.mlp.c_proj.weight"): "transposed linear (Conv1D)",
    ("gpt2-conv1d", "transformer.wpe.weight"): "embedding",
    ("mixtral", "model.layers.0.block_sparse_moe.gate.weight"): "router",
    ("mixtral", "lm_head.weight"): "output head",
    ("llama4-fused-experts", "model.layers.0.feed_forward.router.weight"): "router",
    (
        "llama4-fused-experts",
        "model.layers.0.feed_forward.experts.gate_up_proj",
    ): "fused experts, 3-D",
    ("mamba", "backbone.layers.0.mixer.A_log"): "a bare parameter, not a module's weight",
    ("mamba", "backbone.layers.0.mixer.conv1d.weight"): "convolution",
    ("mamba", "backbone.layers.0.mixer.dt_proj.bias"): "bias",
    ("mamba", "backbone.layers.0.norm.weight"): "vector",
    ("bert", "embeddings.position_ids"): "not floating point",
    ("bert", "embeddings.token_type_embeddings.weight"): "embedding",
    ("llama-tied-copy", "lm_head.weight"): "tied to model.embed_tokens.weight, same values",
    ("llama-mixed-types", "model.layers.0.self_attn.q_proj.weight"): "too small to gain",
    ("tiny-llama", "model.layers.1.mlp.up_proj.weight"): "linear",
}


@pytest.mark.parametrize("name", LINEARS)
def test_linear_layers_and_nothing_else(helix, name):
    plan = helix.plan(FIXTURES / name, "--k", "16")
    assert {key for key, row in plan.items() if row["action"] == "compress"} == LINEARS[name]
    assert plan.keys() == read_tensors(FIXTURES / name).keys()
    assert all(row["reason"] for row in plan.values())


@pytest.mark.parametrize(("name", "key"), REASONS)
def test_reason(helix, name, key):
    assert helix.plan(FIXTURES / name)[key]["reason"] == REASONS[name, key]


@pytest.mark.parametrize("name", [name for name in MODELS if name != "llama-not-finite"])
def test_dry_run_writes_nothing_and_says_what_the_receipt_says(helix, compressed, tmp_path, name):
    helix.succeed("compress", "--dry-run", FIXTURES / name, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    plan = helix.plan(FIXTURES / name)
    for tensor in receipt_of(compressed(name))["tensors"]:
        row = plan.pop(tensor["name"])
        assert row == {key: tensor[key] for key in row}
    assert plan == {}


@pytest.mark.parametrize("name", MODELS)
def test_keys_that_are_written(compressed, name):
    """Exact tensors under their own keys with their own bytes, modules without a dense key."""
    source, stored = read_tensors(FIXTURES / name), read_tensors(compressed(name))
    receipt = receipt_of(compressed(name))
    modules = []
    for tensor in receipt["tensors"]:
        key = tensor["name"]
        if tensor["action"] == "exact":
            assert stored[key].dtype == source[key].dtype
            assert stored[key].data.shape == source[key].data.shape
            assert stored[key].data.tobytes() == source[key].data.tobytes()
        else:
            assert key not in stored
            modules += [key.removesuffix(".weight")] * (tensor["action"] == "compress")
    config = read_json(compressed(name) / "config.json")["quantization_config"]
    assert config["compressed_modules"] == modules
    parts = ("codebook", "indices", "sidecar_positions", "sidecar_values", "channel_scales")
    allowed = {f"{module}.{part}" for module in modules for part in parts}
    exact = {row["name"] for row in receipt["tensors"] if row["action"] == "exact"}
    assert stored.keys() - exact <= allowed


class TestTiedHeads:
    def write(self, folder, tied, same, head="lm_head.weight"):
        table = random_matrix(64, 32)
        other = table.copy()
        other[0, 0] += 0 if same else 1
        config = {"model_type": "none", "tie_word_embeddings": tied}
        arrays = {"model.embed_tokens.weight": table, head: other}
        return write_model(folder, arrays, config)

    def test_tied_by_name_and_value(self, helix, tmp_path):
        model = self.write(tmp_path / "model", tied=True, same=True)
        assert actions(helix.plan(model))["lm_head.weight"] == "skip"
        helix.succeed("compress", model, tmp_path / "out", "--lm-head", "--embeddings")
        keys = read_tensors(tmp_path / "out")
        assert not [key for key in keys if key.startswith("lm_head")]
        assert "model.embed_tokens.codebook" in keys

    def test_equal_but_not_tied(self, helix, tmp_path):
        model = self.write(tmp_path / "model", tied=False, same=True)
        assert actions(helix.plan(model))["lm_head.weight"] == "exact"

    def test_tied_but_not_equal(self, helix, tmp_path):
        model = self.write(tmp_path / "model", tied=True, same=False)
        done = helix("compress", "--dry-run", "--json", model)
        assert "values differ" in done.stderr
        rows = {row["name"]: row["action"] for row in json.loads(done.stdout)["plan"]}
        assert rows["lm_head.weight"] == "exact"

    def test_same_shape_alone_means_nothing(self, helix, tmp_path):
        model = self.write(tmp_path / "model", True, True, head="model.layers.0.up_proj.weight")
        plan = helix.plan(model, "--k", "16")
        assert actions(plan)["model.layers.0.up_proj.weight"] == "compress"


class TestNonFinite:
    KEPT = ("model.layers.0.self_attn.q_proj.weight", "model.layers.0.mlp.up_proj.weight")

    def test_kept_exact_with_a_warning(self, helix, tmp_path):
        source, out = FIXTURES / "llama-not-finite", tmp_path / "out"
        done = helix("compress", source, out, "--quiet")
        assert done.returncode == SUCCESS
        warnings = done.stderr.splitlines()
        assert len(warnings) == 2
        rows = {row["name"]: row for row in receipt_of(out)["tensors"]}
        for key in self.KEPT:
            assert any(key in line and line.startswith("warning: ") for line in warnings)
            assert (rows[key]["action"], rows[key]["reason"]) == ("exact", "non-finite weights")
            same = dense_arrays(out)[key].tobytes() == dense_arrays(source)[key].tobytes()
            assert same
        assert rows["model.layers.0.mlp.gate_proj.weight"]["action"] == "compress"

    def test_refused_when_strict_and_nothing_is_left_that_blocks(self, helix, tmp_path):
        source, out = FIXTURES / "llama-not-finite", tmp_path / "out"
        message = helix.refuse(UNSUPPORTED, "non-finite", "compress", source, out, "--strict")
        assert any(key in message for key in self.KEPT)
        assert list(tmp_path.iterdir()) == []
        helix.succeed("compress", source, out)

    def test_a_double_beyond_the_range_of_f32(self, helix, tmp_path):
        matrix = random_matrix(64, 64).astype(np.float64)
        matrix[5, 7] = 1e300
        model = write_model(tmp_path / "model", {"up.weight": matrix})
        done = helix("compress", model, tmp_path / "out")
        assert done.returncode == SUCCESS
        assert "up.weight: has a non-finite weight" in done.stderr
        assert dense_arrays_in_f64(tmp_path / "out")["up.weight"][5, 7] == 1e300


def dense_arrays_in_f64(folder):
    return {name: np.array(tensor.data) for name, tensor in read_tensors(folder).items()}


def test_nothing_to_compress(helix, compressed):
    receipt = receipt_of(compressed("gpt2-conv1d"))
    assert receipt["counts"] == {"compressed": 0, "exact": 16, "skipped": 0, "keys": 16}
    assert receipt["totals"]["snr_db"] is None
    helix.succeed("verify", compressed("gpt2-conv1d"), "--against", FIXTURES / "gpt2-conv1d")


class TestChoices:
    def test_include(self, helix):
        plan = helix.plan(FIXTURES / "mixtral", "--include", "*.gate", "--include", "lm_head.*")
        gate = plan["model.layers.0.block_sparse_moe.gate.weight"]
        assert (gate["action"], gate["reason"]) == ("compress", "included by *.gate")
        assert plan["lm_head.weight"]["action"] == "compress"

    def test_exclude_wins(self, helix):
        key = "model.layers.0.mlp.up_proj.weight"
        options = ["--include", "*.up_proj", "--exclude", "*.mlp.*"]
        plan = helix.plan(FIXTURES / "tiny-llama", *options)
        assert (plan[key]["action"], plan[key]["reason"]) == ("exact", "excluded by *.mlp.*")
        assert plan["model.layers.0.self_attn.q_proj.weight"]["action"] == "compress"

    def test_patterns_match_modules_and_tensors(self, helix):
        for pattern in ("model.layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj.weight"):
            plan = helix.plan(FIXTURES / "tiny-llama", "--exclude", pattern)
            assert list(actions(plan).values()).count("compress") == 13

    def test_excluding_what_stays_exact_anyway_is_no_mistake(self, helix):
        helix.plan(FIXTURES / "tiny-llama", "--exclude", "*norm*")

    def test_embeddings_and_head(self, helix):
        def chosen(*options):
            plan = actions(helix.plan(FIXTURES / "qwen2-sharded-bias", *options))
            return plan["model.embed_tokens.weight"], plan["lm_head.weight"]

        assert chosen() == ("exact", "exact")
        assert chosen("--embeddings") == ("compress", "exact")
        assert chosen("--lm-head") == ("exact", "compress")

    def test_what_the_format_cannot_hold_stays_exact_even_when_included(self, helix):
        for name, pattern in (("mamba", "*conv1d*"), ("mamba", "*A_log"), ("bert", "*bias")):
            message = helix.refuse(
                ARGUMENT,
                "matches no matrix",
                *("compress", "--dry-run", FIXTURES / name, "--include", pattern),
            )
            assert pattern in message

    @pytest.mark.parametrize("option", ["--include", "--exclude", "--k"])
    def test_a_pattern_that_matches_nothing(self, helix, tmp_path, option):
        value = "*.q_projection" + ("=16" if option == "--k" else "")
        message = helix.refuse(
            ARGUMENT,
            "matches no matrix",
            *("compress", FIXTURES / "tiny-llama", tmp_path / "out", option, value),
        )
        assert '"*.q_projection"' in message
        assert list(tmp_path.iterdir()) == []


def test_conv1d_is_known_by_its_bias_too(helix, tmp_path):
    model = shutil.copytree(FIXTURES / "gpt2-conv1d", tmp_path / "model")
    config = read_json(model / "config.json") | {"model_type": "a-later-model"}
    (model / "config.json").write_text(json.dumps(config))
    assert "compress" not in actions(helix.plan(model, "--k", "16")).values()


@pytest.mark.parametrize("other", ["q.codebook", "up.indices", "q.svd_s", "u_p.bias"])
def test_names_that_mean_something_else_in_the_format(helix, tmp_path, other):
    """Written as they are, a reader would refuse the file or lose the tensor."""
    vector = random_matrix(1, 64)[0]
    arrays = {"up.weight": random_matrix(64, 64), "u.p.bias": vector, other: vector}
    model = write_model(tmp_path / "model", arrays)
    helix.refuse(UNSUPPORTED, other, "compress", model, tmp_path / "out")
    assert leftovers(tmp_path / "out") == []
