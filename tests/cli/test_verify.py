"""helix verify: each of its findings provoked, each with its own exit status."""

import json
import shutil

import numpy as np
import pytest

from helix_program import (
    ARGUMENT,
    CONTENT,
    CORRUPT,
    FIXTURES,
    HASH,
    KEY_COUNT,
    METRICS,
    MISSING,
    MODELS,
    SUCCESS,
    TEST_DATA,
    read_json,
    receipt_of,
)

NAME = "qwen2-sharded-bias"
DENSE = FIXTURES / NAME
MODULE = "model.layers.0.mlp.up_proj"


@pytest.fixture
def folder(compressed, tmp_path):
    """A private copy of a compressed model."""
    return shutil.copytree(compressed(NAME), tmp_path / "out")


def verify(helix, folder, status, *parts, against=None):
    """The problems found: (finding, message)."""
    options = ["--against", against] if against else []
    done = helix("verify", folder, *options, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    problems = [(row["finding"], row["message"]) for row in json.loads(done.stdout)["problems"]]
    assert all(any(part in message for _, message in problems) for part in parts), problems
    text = helix("verify", folder, *options)
    assert text.returncode == status
    assert all(f"{finding}: {message}" in text.stdout for finding, message in problems)
    return problems


def rewrite_weights(folder, change, keep_receipt=False):
    """Changes the stored tensors; without a receipt, which would only tell that a hash differs."""
    library = pytest.importorskip("safetensors.numpy")
    path = folder / "model.safetensors"
    tensors = {key: value.copy() for key, value in library.load_file(path).items()}
    change(tensors)
    library.save_file(tensors, path, metadata={"format": "pt"})
    if not keep_receipt:
        (folder / "hxq_receipt.json").unlink()


def rewrite_receipt(folder, change):
    receipt = receipt_of(folder)
    change(receipt)
    (folder / "hxq_receipt.json").write_text(json.dumps(receipt))


@pytest.mark.parametrize("name", MODELS)
def test_all_well(helix, compressed, name):
    assert verify(helix, compressed(name), SUCCESS) == []
    assert verify(helix, compressed(name), SUCCESS, against=FIXTURES / name) == []


def test_a_changed_byte(helix, folder):
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-2] ^= 1
    weights.write_bytes(content)
    (folder / "config.json").write_text(json.dumps(read_json(folder / "config.json")))
    problems = verify(helix, folder, HASH, "model.safetensors: SHA-256 is", "config.json: SHA-256")
    assert {finding for finding, _ in problems} == {"hash"}


def test_a_file_of_the_receipt_is_gone(helix, folder):
    rewrite_receipt(
        folder,
        lambda receipt: receipt["output"]["files"].append(
            {"name": "LICENSE", "bytes": 1, "sha256": "0" * 64}
        ),
    )
    verify(helix, folder, HASH, "LICENSE: listed in the receipt, but absent")


def test_a_receipt_cannot_name_files_elsewhere(helix, folder):
    (folder.parent / "other.json").write_text("{}")
    rewrite_receipt(folder, lambda r: r["output"]["files"][0].update(name="../other.json"))
    verify(helix, folder, HASH, "../other.json")


class TestContent:
    def test_index_out_of_range(self, helix, folder):
        def change(tensors):
            tensors[f"{MODULE}.codebook"] = tensors[f"{MODULE}.codebook"][:-1]

        rewrite_weights(folder, change)
        problems = verify(helix, folder, CONTENT, MODULE)
        assert [finding for finding, _ in problems] == ["content"]

    def test_codebook_not_finite(self, helix, folder):
        def change(tensors):
            tensors[f"{MODULE}.codebook"][3] = np.nan

        rewrite_weights(folder, change)
        verify(helix, folder, CONTENT, MODULE)

    def test_every_broken_module_is_named(self, helix, folder):
        def change(tensors):
            for name in ("up", "down", "gate"):
                tensors[f"model.layers.0.mlp.{name}_proj.codebook"][0] = np.inf

        rewrite_weights(folder, change)
        assert len(verify(helix, folder, CONTENT)) == 3

    def test_another_shape_than_the_dense_tensor(self, helix, folder):
        def change(tensors):
            indices = tensors[f"{MODULE}.indices"]
            tensors[f"{MODULE}.indices"] = indices.reshape(indices.shape[::-1])
            tensors.pop(f"{MODULE}.channel_scales", None)

        rewrite_weights(folder, change)
        problems = verify(helix, folder, CONTENT, "the dense tensor is [64, 32]", against=DENSE)
        assert problems[0][0] == "content"


class TestMissing:
    def test_an_exact_tensor(self, helix, folder):
        rewrite_weights(folder, lambda tensors: tensors.pop("model.norm.weight"))
        verify(helix, folder, MISSING, "model.norm.weight")

    def test_the_output_head(self, helix, folder):
        rewrite_weights(folder, lambda tensors: tensors.pop("lm_head.weight"))
        verify(helix, folder, MISSING, "lm_head.weight")

    def test_known_from_the_dense_checkpoint_only(self, helix, folder):
        key = "model.layers.0.self_attn.q_proj.bias"
        rewrite_weights(folder, lambda tensors: tensors.pop(key))
        assert verify(helix, folder, SUCCESS) == []
        verify(helix, folder, MISSING, key, against=DENSE)

    def test_known_from_the_receipt(self, helix, folder):
        key = "model.layers.0.self_attn.q_proj.bias"
        rewrite_weights(folder, lambda tensors: tensors.pop(key), keep_receipt=True)
        problems = verify(helix, folder, HASH, f"{key}: is neither")
        assert {finding for finding, _ in problems} == {"hash", "missing", "key count"}

    def test_a_listed_module_without_parts_cannot_even_be_opened(self, helix, folder):
        def change(tensors):
            for part in [key for key in tensors if key.startswith(f"{MODULE}.")]:
                del tensors[part]

        rewrite_weights(folder, change)
        helix.refuse(CORRUPT, MODULE, "verify", folder)


def test_key_count(helix, folder):
    rewrite_receipt(folder, lambda receipt: receipt["counts"].update(keys=1))
    verify(helix, folder, KEY_COUNT, "the receipt says 1")


class TestMetrics:
    def test_another_number_than_the_receipt(self, helix, folder):
        def change(receipt):
            row = next(row for row in receipt["tensors"] if row["name"] == f"{MODULE}.weight")
            row["snr_db"] += 0.001

        rewrite_receipt(folder, change)
        assert verify(helix, folder, SUCCESS) == []
        verify(helix, folder, METRICS, f"{MODULE}.weight: snr_db is", against=DENSE)

    def test_totals(self, helix, folder):
        rewrite_receipt(folder, lambda receipt: receipt["totals"].update(snr_db=99.0))
        verify(helix, folder, METRICS, "totals: snr_db", against=DENSE)

    def test_an_exact_tensor_that_is_not(self, helix, folder):
        def change(tensors):
            tensors["model.norm.weight"][0] += 1

        rewrite_weights(folder, change)
        verify(helix, folder, METRICS, "model.norm.weight: differs", against=DENSE)

    def test_codes_of_other_weights(self, helix, folder, compressed):
        """A well-formed module that decodes to something else: only its metrics tell."""

        def change(tensors):
            codes = tensors[f"{MODULE}.indices"]
            tensors[f"{MODULE}.indices"] = np.ascontiguousarray(codes[::-1])

        rewrite_weights(folder, change, keep_receipt=True)
        rewrite_receipt(folder, lambda receipt: receipt["output"].update(files=[]))
        verify(helix, folder, METRICS, MODULE, against=DENSE)


def test_the_first_that_applies_decides(helix, folder):
    def change(tensors):
        tensors[f"{MODULE}.codebook"][0] = np.nan
        del tensors["model.norm.weight"]

    rewrite_weights(folder, change, keep_receipt=True)
    problems = verify(helix, folder, HASH)
    order = ["hash", "content", "missing", "key count", "metrics"]
    found = [order.index(finding) for finding, _ in problems]
    assert found == sorted(found)
    assert {"hash", "content", "missing", "key count"} <= {finding for finding, _ in problems}


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 1}', "nonsense"])
def test_a_receipt_that_is_none(helix, folder, text):
    (folder / "hxq_receipt.json").write_text(text)
    helix.refuse(CORRUPT, "hxq_receipt.json", "verify", folder)


@pytest.mark.parametrize("action", [None, -1, [], {}])
def test_an_entry_of_the_receipt_with_an_odd_action(helix, folder, action):
    rewrite_receipt(folder, lambda receipt: receipt["tensors"][0].update(action=action))
    helix.succeed("verify", folder)


@pytest.mark.parametrize(
    "change",
    [
        {"output": None},
        {"output": {"files": [None, 1, {}, {"name": 1}, {"name": "config.json"}]}},
        {"tensors": {}},
        {"counts": {"keys": "many"}},
        {"totals": []},
    ],
)
def test_a_receipt_with_wrong_types_is_no_crash(helix, folder, change):
    rewrite_receipt(folder, lambda receipt: receipt.update(change))
    done = helix("verify", folder, "--against", DENSE)
    assert done.returncode in (SUCCESS, HASH, KEY_COUNT)


def test_against_a_compressed_folder(helix, folder):
    helix.refuse(ARGUMENT, "is compressed", "verify", folder, "--against", folder)


def test_against_the_decompressed_one(helix, folder, tmp_path):
    """The decoded weights have no error against themselves; the receipt knows of another."""
    helix.succeed("decompress", folder, tmp_path / "dense")
    (folder / "hxq_receipt.json").unlink()
    text = helix.succeed("verify", folder, "--against", tmp_path / "dense")
    assert "SNR exact" in text
    assert "no receipt: hashes not checked" in text


def test_checkpoints_of_earlier_software(helix):
    folder = TEST_DATA / "hxq-reference"
    if not folder.is_dir():
        pytest.skip(f"no checkpoints of earlier software at {folder}; set HELIX_TEST_DATA")
    for expected in sorted(folder.glob("*.expected")):
        done = helix("verify", expected.with_suffix(""))
        assert done.returncode == SUCCESS, done.stdout + done.stderr


def test_status_of_a_config_is_checked_too(helix, folder):
    config = read_json(folder / "config.json")
    config["quantization_config"]["compressed_modules"].append("model.absent")
    (folder / "config.json").write_text(json.dumps(config))
    helix.refuse(CORRUPT, "model.absent", "verify", folder)
