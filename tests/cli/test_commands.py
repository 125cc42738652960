"""Every command as a user meets it: help, exit statuses, which stream says what, exact output."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from helix_program import (
    ARGUMENT,
    CORRUPT,
    FIXTURES,
    INPUT_OUTPUT,
    NOT_FOUND,
    UNSUPPORTED,
    leftovers,
    random_matrix,
    write_model,
)

COMMANDS = ["compress", "decompress", "inspect", "verify", "completion", "man"]

PLAN = """\
tensor                                  type  shape       bytes  action    reason
model.embed_tokens.weight               F32   [64, 32]  8.19 kB  exact     embedding
model.layers.0.mlp.down_proj.weight     F32   [32, 64]  8.19 kB  compress  linear
model.layers.0.self_attn.q_proj.weight  F32   [8, 8]      256 B  exact     too small to gain
model.layers.0.self_attn.v_proj.bias    F32   [64]        256 B  exact     bias
model.layers.0.self_attn.v_proj.weight  F32   [64, 64]  16.4 kB  compress  linear, k = 16
model.layers.0.input_layernorm.weight   F32   [32]        128 B  exact     vector

2 compressed, 4 exact, 0 skipped. Nothing was written.
"""

INSPECTION = """\
tensor     kind   shape     stored as  k  outliers  bits/weight    bytes  notes
down       hxq    [64, 64]  12-bit     2         0       12.016  6.15 kB
up         hxq    [64, 64]  u8         2         0        8.016  4.10 kB
down.bias  exact  [64]      F32                          32.000    256 B

none, hxq: 5 keys in 1 file, {size}
2 compressed matrices: 8192 weights in 10.3 kB, 10.016 bits per weight, 0 outliers
1 exact tensors: 256 B
"""


@pytest.fixture
def two_values(tmp_path):
    """Matrices of two values each: their metrics are known without any fit."""
    matrix = random_matrix(64, 64)
    matrix[:] = (matrix > 0) * 0.75 - 0.25
    return write_model(
        tmp_path / "model",
        {"up.weight": matrix, "down.weight": matrix, "down.bias": matrix[0].copy()},
    )


def kilobytes(folder):
    return f"{(folder / 'model.safetensors').stat().st_size / 1000:.1f} kB"


def test_help_has_an_example(helix):
    for command in helix.commands():
        text = helix.succeed(command, "--help")
        assert "Usage: helix" in text
        assert f"Example:\n  helix {command}" in text


def test_help_of_the_program(helix):
    text = helix.succeed("--help")
    assert "Usage: helix" in text
    assert set(COMMANDS) <= set(helix.commands())
    assert re.fullmatch(r"helix \d+\.\d+\.\d+\n", helix.succeed("--version"))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["shrink"],
        ["--no-such-option"],
        *([command, "--no-such-option"] for command in COMMANDS),
        ["compress"],
        ["decompress", "only-source"],
        ["inspect"],
        ["verify"],
        ["completion"],
        ["completion", "powershell"],
        ["compress", "a", "b", "c"],
        ["compress", "a", "b", "--threads", "0"],
        ["compress", "a", "b", "--threads", "x"],
        ["compress", "a", "b", "--column-scales", "some"],
        ["decompress", "a", "b", "--dtype", "f8"],
    ],
)
def test_wrong_arguments(helix, tmp_path, arguments):
    done = helix(*arguments, cwd=tmp_path)
    assert done.returncode == ARGUMENT
    assert done.stdout == ""
    assert done.stderr != ""
    assert list(tmp_path.iterdir()) == []


def test_destination_is_missing(helix):
    helix.refuse(ARGUMENT, "DST is missing", "compress", FIXTURES / "tiny-llama")


class TestExitStatuses:
    def test_not_found(self, helix, tmp_path):
        for command in (["compress"], ["decompress"]):
            message = helix.refuse(
                NOT_FOUND, "absent", *command, tmp_path / "absent", tmp_path / "out"
            )
            assert "config.json" in message or "no such folder" in message
        helix.refuse(NOT_FOUND, "absent", "inspect", tmp_path / "absent")
        helix.refuse(NOT_FOUND, "absent", "verify", tmp_path / "absent")
        assert list(tmp_path.iterdir()) == []

    def test_no_weights(self, helix, model, tmp_path):
        (model / "model.safetensors").unlink()
        helix.refuse(NOT_FOUND, "model.safetensors", "compress", model, tmp_path / "out")

    def test_corrupt_weights(self, helix, model, tmp_path):
        weights = model / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
        helix.refuse(CORRUPT, "model.safetensors", "compress", model, tmp_path / "out")
        helix.refuse(CORRUPT, "model.safetensors", "inspect", model)
        assert leftovers(tmp_path / "out") == []

    def test_corrupt_config(self, helix, model, tmp_path):
        (model / "config.json").write_text("{")
        helix.refuse(CORRUPT, "config.json", "compress", model, tmp_path / "out")
        assert leftovers(tmp_path / "out") == []

    def test_pickled_weights_only(self, helix, model, tmp_path):
        (model / "model.safetensors").rename(model / "pytorch_model.bin")
        message = helix.refuse(
            UNSUPPORTED, "pytorch_model.bin", "compress", model, tmp_path / "out"
        )
        assert "save_pretrained" in message

    def test_compressed_already(self, helix, compressed, tmp_path):
        source = compressed("bert")
        helix.refuse(UNSUPPORTED, "compressed already", "compress", source, tmp_path / "out")

    def test_other_quantisation(self, helix, model, tmp_path):
        config = json.loads((model / "config.json").read_text())
        config["quantization_config"] = {"quant_method": "gptq"}
        (model / "config.json").write_text(json.dumps(config))
        helix.refuse(UNSUPPORTED, "gptq", "compress", model, tmp_path / "out")

    def test_eight_bit_floats(self, helix, tmp_path):
        header = b'{"a.weight":{"dtype":"F8_E4M3","shape":[64,64],"data_offsets":[0,4096]}}'
        model = tmp_path / "model"
        model.mkdir()
        (model / "config.json").write_text("{}")
        content = len(header).to_bytes(8, "little") + header + bytes(4096)
        (model / "model.safetensors").write_bytes(content)
        helix.refuse(UNSUPPORTED, "F8_E4M3", "compress", model, tmp_path / "out")

    def test_dense_where_compressed_is_wanted(self, helix, model, tmp_path):
        helix.refuse(ARGUMENT, "not an HXQ", "decompress", model, tmp_path / "out")
        helix.refuse(ARGUMENT, "not an HXQ", "verify", model)
        assert leftovers(tmp_path / "out") == []

    def test_output_cannot_be_written(self, helix, tmp_path):
        (tmp_path / "file").write_text("in the way")
        destination = tmp_path / "file" / "out"
        helix.refuse(INPUT_OUTPUT, "file", "compress", FIXTURES / "tiny-llama", destination)

    def test_standard_output_is_full(self, helix):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([helix.path, "man"], stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == INPUT_OUTPUT
        assert b"standard output" in done.stderr

    def test_stopped_by_a_closed_pipe_without_a_signal(self, helix):
        process = helix.start("inspect", FIXTURES / "tiny-llama")
        process.stdout.close()
        process.stderr.read()
        process.stderr.close()
        assert process.wait(60) in (0, INPUT_OUTPUT)
        assert process.returncode != -signal.SIGPIPE


class TestOutput:
    def test_plan(self, helix, tmp_path):
        layer = "model.layers.0"
        model = write_model(
            tmp_path / "model",
            {
                "model.embed_tokens.weight": random_matrix(64, 32),
                f"{layer}.mlp.down_proj.weight": random_matrix(32, 64),
                f"{layer}.self_attn.q_proj.weight": random_matrix(8, 8),
                f"{layer}.self_attn.v_proj.bias": random_matrix(1, 64)[0],
                f"{layer}.self_attn.v_proj.weight": random_matrix(64, 64),
                f"{layer}.input_layernorm.weight": random_matrix(1, 32)[0],
            },
        )
        options = ["--k", "*.v_proj=16"]
        assert helix.succeed("compress", "--dry-run", model, *options) == PLAN

    def test_compress_inspect_verify_decompress(self, helix, two_values, tmp_path):
        out, dense = tmp_path / "out", tmp_path / "dense"
        text = helix.succeed(
            "compress", two_values, out, "--k", "down=512", "--column-scales", "none"
        )
        lines = text.splitlines()
        assert lines[0] == str(out)
        assert lines[1] == "  tensors      2 compressed, 1 exact, 0 skipped; 5 keys"
        assert lines[2] == "  matrices     32.8 kB -> 10.3 kB, ratio 3.195, 10.016 bits per weight"
        assert re.fullmatch(r"  weight files 33\.\d kB -> 11\.\d kB, ratio [23]\.\d{3}", lines[3])
        assert lines[4] == "  error        SNR exact, largest 0, 0 outliers"
        assert lines[5].startswith("  run          ")
        assert len(lines) == 6
        assert helix.succeed("inspect", out) == INSPECTION.format(size=kilobytes(out))
        assert helix.succeed("verify", out, "--against", two_values, "--table") == (
            "module  SNR dB  bits/weight  outliers  largest error\n"
            "down     exact       12.016         0       0.000000\n"
            "up       exact        8.016         0       0.000000\n\n"
            "against the dense checkpoint: SNR exact, 10.016 bits per weight, "
            "cosine 1.00000000\n"
            "2 compressed and 1 exact tensors checked: all well\n"
        )
        assert helix.succeed("decompress", out, dense) == (
            f"{dense}\n  2 matrices decoded to F32, 1 exact, {kilobytes(dense)}\n"
        )

    def test_json_parses_and_is_all_of_standard_output(self, helix, two_values, tmp_path):
        out = tmp_path / "out"
        receipt = json.loads(helix.succeed("compress", two_values, out, "--json"))
        assert receipt == json.loads((out / "hxq_receipt.json").read_text())
        inspection = json.loads(helix.succeed("inspect", out, "--json"))
        assert inspection["keys"] == receipt["counts"]["keys"]
        assert inspection["totals"]["compressed"] == 2
        assert {row["name"]: row["kind"] for row in inspection["tensors"]} == {
            "up": "hxq",
            "down": "hxq",
            "down.bias": "exact",
        }
        report = json.loads(helix.succeed("verify", out, "--json", "--against", two_values))
        assert report["ok"]
        assert report["modules"].keys() == {"up", "down"}
        dense = json.loads(helix.succeed("decompress", out, tmp_path / "dense", "--json"))
        assert dense["decoded"] == 2
        plan = json.loads(helix.succeed("compress", two_values, "--dry-run", "--json"))["plan"]
        assert len(plan) == 3

    def test_quiet_is_silent(self, helix, tmp_path):
        out = tmp_path / "out"
        source = FIXTURES / "tiny-llama"
        for arguments in (
            ["compress", source, out],
            ["verify", out, "--against", source],
            ["decompress", out, tmp_path / "dense"],
        ):
            done = helix(*arguments, "--quiet")
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_without_a_terminal_progress_is_a_line_a_stage(self, helix, tmp_path):
        done = helix("compress", FIXTURES / "tiny-llama", tmp_path / "out")
        assert "\r" not in done.stderr
        assert "\x1b" not in done.stderr
        lines = done.stderr.splitlines()
        assert [line.split(":")[0] for line in lines] == ["scan", "compress", "hash"]

    def test_bar_on_a_terminal(self, helix, tmp_path):
        parent, child = pty.openpty()
        process = subprocess.Popen(
            [helix.path, "compress", FIXTURES / "tiny-llama", tmp_path / "out"],
            stdout=subprocess.DEVNULL,
            stderr=child,
        )
        os.close(child)
        text = b""
        try:
            while part := os.read(parent, 65536):
                text += part
        except OSError:  # how a terminal says that it has been closed
            pass
        os.close(parent)
        assert process.wait(60) == 0
        assert re.search(rb"compress +\[#+\] 100 %  .*B/s  \d:\d\d left", text)
        assert text.endswith(b"\r\x1b[K")


def test_inspect_dense_folder(helix):
    text = helix.succeed("inspect", FIXTURES / "llama-integer-buffer", "--summary")
    assert "llama, dense" in text
    assert "13 exact tensors" in text


def test_symlinked_files_of_a_download_cache(helix, compressed, tmp_path):
    """snapshots/REVISION/NAME -> ../../blobs/HASH, as the ecosystem's cache keeps a model."""
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted((FIXTURES / "tiny-llama").iterdir())):
        shutil.copy(path, blobs / f"blob{number}")
        (snapshot / path.name).symlink_to(f"../../blobs/blob{number}")
    out = tmp_path / "out"
    helix.succeed("compress", snapshot, out)
    assert not any(path.is_symlink() for path in out.iterdir())
    expected = compressed("tiny-llama")
    for path in expected.iterdir():
        if path.name != "hxq_receipt.json":
            assert (out / path.name).read_bytes() == path.read_bytes()
