"""hxq_receipt.json: its schema, and every number in it that can be worked out another way."""

import json
import math

import numpy as np
import pytest

from helix_program import (
    FIXTURES,
    MODELS,
    REPOSITORY,
    dense_arrays,
    files_below,
    random_matrix,
    read_json,
    receipt_of,
    sha256,
    write_model,
)
from helix_substrate.reference_decoder import read_checkpoint
from helix_substrate.reference_safetensors import read_tensors

SCHEMA = read_json(REPOSITORY / "docs" / "receipt.schema.json")


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("name", MODELS)
def test_schema(compressed, validator, name):
    validator.validate(receipt_of(compressed(name)))


@pytest.mark.parametrize(
    "options",
    [
        ["--k", "300", "--k", "*q_proj=16", "--outliers", "none", "--column-scales", "none"],
        ["--outliers", "3", "--embeddings", "--lm-head", "--include", "*", "--shard-size", "40kB"],
        ["--outliers", "0.1%", "--exclude", "*", "--strict", "--copy-code", "--threads", "3"],
    ],
)
def test_schema_with_options(helix, validator, tmp_path, options):
    helix.succeed("compress", FIXTURES / "tiny-llama", tmp_path / "out", *options)
    validator.validate(receipt_of(tmp_path / "out"))


def test_schema_is_strict(compressed, validator):
    def refused(change):
        receipt = receipt_of(compressed("tiny-llama"))
        change(receipt)
        return not validator.is_valid(receipt)

    assert not refused(lambda receipt: None)
    sections = ("options", "source", "output", "counts", "sizes", "ratios", "totals", "run")
    for section in sections:
        assert refused(lambda receipt, section=section: receipt[section].update(other=1))
        for field in receipt_of(compressed("tiny-llama"))[section]:
            assert refused(lambda receipt, at=(section, field): receipt[at[0]].pop(at[1]))
    assert refused(lambda receipt: receipt.update(other=1))
    assert refused(lambda receipt: receipt["output"]["files"][0].update(sha256="0" * 63))
    assert refused(lambda receipt: receipt["output"]["files"][0].update(name="../config.json"))
    row = {"name": "model.layers.0.self_attn.q_proj.weight"}

    def tensor(receipt):
        return next(row_ for row_ in receipt["tensors"] if row_["name"] == row["name"])

    assert refused(lambda receipt: tensor(receipt).pop("snr_db"))
    assert refused(lambda receipt: tensor(receipt).update(action="exact"))
    assert refused(lambda receipt: tensor(receipt).update(k=1))


def test_every_field_is_described():
    def check(schema, path):
        for key, field in schema.get("properties", {}).items():
            assert "description" in field or "$ref" in field or "const" in field, f"{path}/{key}"
            check(field, f"{path}/{key}")
        for key, definition in schema.get("$defs", {}).items():
            check(definition, f"{path}/$defs/{key}")
        if "items" in schema:
            check(schema["items"], f"{path}/items")

    check(SCHEMA, "")


@pytest.mark.parametrize("name", MODELS)
def test_hashes_and_sizes(compressed, name):
    out, receipt = compressed(name), receipt_of(compressed(name))
    files = {file["name"]: file for file in receipt["output"]["files"]}
    assert files.keys() == files_below(out).keys() - {"hxq_receipt.json"}
    for file in files.values():
        assert file["sha256"] == sha256(out / file["name"])
        assert file["bytes"] == (out / file["name"]).stat().st_size
    assert receipt["source"]["name"] == name
    for file in receipt["source"]["files"]:
        assert file["sha256"] == sha256(FIXTURES / name / file["name"])

    def weight_bytes(folder):
        return sum(path.stat().st_size for path in folder.glob("*.safetensors"))

    sizes, ratios = receipt["sizes"], receipt["ratios"]
    assert sizes["source_weight_file_bytes"] == weight_bytes(FIXTURES / name)
    assert sizes["output_weight_file_bytes"] == weight_bytes(out)
    assert math.isclose(ratios["weight_files"], weight_bytes(FIXTURES / name) / weight_bytes(out))


@pytest.mark.parametrize("name", MODELS)
def test_key_count_identity(compressed, name):
    stored, receipt = read_tensors(compressed(name)), receipt_of(compressed(name))
    modules = read_json(compressed(name) / "config.json")["quantization_config"][
        "compressed_modules"
    ]

    def having(part):
        return sum(f"{module}.{part}" in stored for module in modules)

    exact = receipt["counts"]["exact"]
    expected = 2 * len(modules) + 2 * having("sidecar_positions") + having("channel_scales") + exact
    assert receipt["counts"]["keys"] == len(stored) == expected
    assert receipt["counts"]["compressed"] == len(modules)
    actions = [row["action"] for row in receipt["tensors"]]
    assert receipt["counts"]["skipped"] == actions.count("skip")


@pytest.mark.parametrize("name", ["tiny-llama", "llama-float64", "bert", "mixtral"])
def test_metrics_by_the_reference_decoder(compressed, name):
    """Every metric again in F64 with numpy, from what the reference decoder reads."""
    receipt = receipt_of(compressed(name))
    weights, decoded = dense_arrays(FIXTURES / name), read_checkpoint(compressed(name))
    stored = read_tensors(compressed(name))
    squares = {"error": 0.0, "norm": 0.0, "count": 0, "bytes": 0}
    for row in receipt["tensors"]:
        if row["action"] != "compress":
            assert "snr_db" not in row
            continue
        w = weights[row["name"]].astype(np.float64)
        d = decoded[row["name"]].astype(np.float64)
        error, norm = ((d - w) ** 2).sum(), (w**2).sum()
        module = row["name"].removesuffix(".weight")
        parts = [t.data.nbytes for key, t in stored.items() if key.rpartition(".")[0] == module]
        parts = sum(parts) - (stored[f"{module}.bias"].data.nbytes if name == "bert" else 0)
        assert math.isclose(row["snr_db"], 10 * math.log10(norm / error), rel_tol=1e-9)
        assert math.isclose(row["relative_squared_error"], error / norm, rel_tol=1e-9)
        cosine = (d * w).sum() / math.sqrt((d**2).sum() * norm)
        assert math.isclose(row["cosine"], cosine, rel_tol=1e-12)
        assert math.isclose(row["max_error"], np.abs(d - w).max(), rel_tol=1e-12)
        assert row["stored_bytes"] == parts
        assert math.isclose(row["bits_per_weight"], 8 * parts / w.size)
        assert row["weight_count"] == w.size
        for key, value in (("error", error), ("norm", norm), ("count", w.size), ("bytes", parts)):
            squares[key] += value
    totals = receipt["totals"]
    snr = 10 * math.log10(squares["norm"] / squares["error"])
    assert math.isclose(totals["snr_db"], snr, rel_tol=1e-9)
    assert math.isclose(totals["bits_per_weight"], 8 * squares["bytes"] / squares["count"])
    assert receipt["sizes"]["output_compressed_bytes"] == squares["bytes"]


def test_an_error_of_zero_is_null_not_a_word(helix, validator, tmp_path):
    matrix = np.sign(random_matrix(64, 64))
    model = write_model(tmp_path / "model", {"up.weight": matrix})
    helix.succeed("compress", model, tmp_path / "out")
    text = (tmp_path / "out/hxq_receipt.json").read_text()
    receipt = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    validator.validate(receipt)
    assert receipt["totals"]["snr_db"] is None
    assert receipt["totals"]["relative_squared_error"] == 0


def test_run_section(helix, tmp_path):
    arguments = ["compress", str(FIXTURES / "bert"), str(tmp_path / "out"), "--threads", "3"]
    helix.succeed(*arguments)
    run = receipt_of(tmp_path / "out")["run"]
    assert run["command"] == ["helix", *arguments]
    assert run["threads"] == 3
    assert run["resumed"] is False
    assert run["seconds"] > 0
    assert run["peak_resident_bytes"] > 1_000_000
