"""compress, plan, decompress, inspect, verify against the independent decoder."""

from __future__ import annotations

import _thread
import io
import json
import logging
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("helix_substrate._native", exc_type=ImportError)

import helix_substrate as helix
from helix_substrate import _native, checkpoint, progress
from helix_substrate.reference_decoder import read_checkpoint
from helix_substrate.reference_safetensors import as_floats, read_tensors

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
SOURCE = FIXTURES / "tiny-llama"


@pytest.fixture
def compressed(tmp_path: Path) -> Path:
    helix.compress(SOURCE, tmp_path / "hxq")
    return tmp_path / "hxq"


def snr_db(found: np.ndarray, expected: np.ndarray) -> float:
    error = (found.astype(np.float64) - expected) ** 2
    return float(10 * np.log10((expected.astype(np.float64) ** 2).sum() / error.sum()))


def test_compress_and_its_receipt(tmp_path: Path) -> None:
    receipt = helix.compress(str(SOURCE), str(tmp_path / "hxq"))
    assert receipt == json.loads((tmp_path / "hxq" / "hxq_receipt.json").read_text())
    assert receipt["run"]["command"][0] == "helix_substrate.compress"
    dense = read_tensors(SOURCE)
    restored = read_checkpoint(tmp_path / "hxq")
    assert receipt["counts"]["compressed"] == len(restored.modules) == 14
    for name, tensor in dense.items():
        original = as_floats(tensor)
        if name in restored.exact:
            assert (restored[name] == original).all()
        else:
            assert 40 < snr_db(restored[name], original) < 55


@pytest.mark.parametrize("model", ["gpt2-conv1d", "mixtral", "qwen2-sharded-bias", "mamba"])
def test_decompress_gives_what_the_reference_decoder_reads(model: str, tmp_path: Path) -> None:
    helix.compress(FIXTURES / model, tmp_path / "hxq")
    summary = helix.decompress(tmp_path / "hxq", tmp_path / "dense", dtype="f32")
    expected = read_checkpoint(tmp_path / "hxq")
    found = read_tensors(tmp_path / "dense")
    assert set(found) == set(expected)
    assert summary.module_count == len(expected.modules)
    assert summary.exact_count == len(found) - summary.module_count
    for name in expected:
        assert (as_floats(found[name]) == expected[name]).all()


def test_options_reach_the_library(tmp_path: Path) -> None:
    options = {
        "codebook_size": 64,
        "codebook_sizes": {"*q_proj": 300},
        "outliers": "none",
        "exclude": ["*layers.1*"],
        "embeddings": True,
        "threads": 1,
    }
    plan = {entry.name: entry for entry in helix.plan(SOURCE, **options)}
    helix.compress(SOURCE, tmp_path / "hxq", **options)
    found = {tensor.name: tensor for tensor in helix.inspect(tmp_path / "hxq").tensors}
    assert found["model.embed_tokens"].compressed
    query = found["model.layers.0.self_attn.q_proj"]
    assert (query.codebook_size, query.indices) == (300, "12-bit")
    assert found["model.layers.0.mlp.up_proj"].codebook_size == 64
    assert not found["model.layers.1.mlp.up_proj.weight"].compressed
    assert all(tensor.outlier_count == 0 for tensor in found.values())
    for name, entry in plan.items():
        module = name.removesuffix(".weight")
        assert (entry.action == "compress") == (module in found and found[module].compressed)
        assert entry.reason
    assert plan["model.layers.0.self_attn.q_proj.weight"].codebook_size == 300


def test_inspect_agrees_with_the_files(compressed: Path) -> None:
    inspection = helix.inspect(compressed)
    keys = read_tensors(compressed)
    assert inspection.quant_method == "hxq"
    assert inspection.model_type == "llama"
    assert inspection.key_count == len(keys)
    assert inspection.file_bytes == (compressed / "model.safetensors").stat().st_size
    for tensor in inspection.tensors:
        parts = [
            keys[key]
            for key in keys
            if key == tensor.name or (tensor.compressed and key.rpartition(".")[0] == tensor.name)
        ]
        assert tensor.stored_bytes == sum(part.data.nbytes for part in parts)
    assert helix.inspect(SOURCE).quant_method == ""


def test_verify_finds_what_is_wrong(compressed: Path) -> None:
    report = helix.verify(compressed, against=SOURCE)
    assert report.ok
    assert report.has_receipt
    assert set(report.modules) == set(read_checkpoint(compressed).modules)
    assert 40 < report.totals.snr_db < 55
    assert helix.verify(compressed).totals is None
    weights = compressed / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    broken = helix.verify(compressed)
    assert not broken.ok
    assert broken.problems[0][0] == "hash"
    assert "model.safetensors" in broken.problems[0][1]


def test_what_is_refused(compressed: Path, tmp_path: Path) -> None:
    with pytest.raises(helix.InvalidArgumentError, match=r"exists|in the way"):
        helix.compress(SOURCE, compressed)
    with pytest.raises(helix.UnsupportedError, match=r"quantis|already|hxq"):
        helix.compress(compressed, tmp_path / "again")
    with pytest.raises(helix.InvalidArgumentError, match="one string"):
        helix.compress(SOURCE, tmp_path / "other", include="*q_proj")
    with pytest.raises(helix.InvalidArgumentError, match="nothing_like_it"):
        helix.compress(SOURCE, tmp_path / "other", exclude=["nothing_like_it"])
    with pytest.raises(helix.InvalidArgumentError, match="INT8"):
        helix.decompress(compressed, tmp_path / "other", dtype="INT8")
    with pytest.raises(helix.InvalidArgumentError, match=r"shard_bytes -1"):
        helix.compress(SOURCE, tmp_path / "other", shard_bytes=-1)
    with pytest.raises(helix.InvalidArgumentError, match="weight files of 0 bytes"):
        helix.compress(SOURCE, tmp_path / "other", shard_bytes=0)
    with pytest.raises(helix.InvalidArgumentError, match="weight files of 0 bytes"):
        helix.decompress(compressed, tmp_path / "other", shard_bytes=0)
    with pytest.raises(TypeError, match="levels"):
        helix.compress(SOURCE, tmp_path / "other", levels=3)
    assert not (tmp_path / "other").exists()
    helix.compress(SOURCE, compressed, force=True)


def test_non_finite_weights_are_kept_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = FIXTURES / "llama-not-finite"
    with caplog.at_level(logging.WARNING, "helix_substrate"):
        helix.compress(source, tmp_path / "hxq")
    assert "finite" in caplog.text or "nan" in caplog.text.lower()
    with pytest.raises(helix.UnsupportedError):
        helix.compress(source, tmp_path / "strict", strict=True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_progress_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    shown = {}
    for name, stream, asked in (
        ("terminal", Terminal(), None),
        ("file", io.StringIO(), None),
        ("asked for", io.StringIO(), True),
        ("not wanted", Terminal(), False),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        helix.compress(SOURCE, tmp_path / name, progress=asked)
        shown[name] = stream.getvalue()
    assert "compress" in shown["terminal"]
    assert "100%" in shown["terminal"]
    assert "100%" in shown["asked for"]
    assert shown["file"] == shown["not wanted"] == ""


def test_no_bar_without_tqdm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    helix.compress(SOURCE, tmp_path / "hxq", progress=True)
    assert helix.verify(tmp_path / "hxq").ok


def interrupted_compress(destination: Path, on_progress) -> None:
    options = checkpoint._compress_options(threads=1)
    _native.compress(SOURCE, destination, options, on_progress, progress.log)


def test_ctrl_c_cancels_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    def press_once(stage: str, *_: object) -> None:
        if stage == "compress":
            if not pressed:
                pressed.append(stage)
                _thread.interrupt_main()  # as SIGINT does
            time.sleep(0.1)  # gives the waiting thread time to see it

    pressed: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted_compress(tmp_path / "hxq", press_once)
    assert not (tmp_path / "hxq").exists()
    helix.compress(SOURCE, tmp_path / "hxq", resume=True)
    helix.compress(SOURCE, tmp_path / "unbroken")
    weights = [(tmp_path / name / "model.safetensors") for name in ("hxq", "unbroken")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_what_a_callback_raises_comes_back(tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError, match="in the callback"):
        interrupted_compress(tmp_path / "hxq", fail)
    assert not (tmp_path / "hxq").exists()


def test_folders_of_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "na\u00efve \u6a21\u578b \udce9"
    shutil.copytree(SOURCE, folder)
    helix.compress(folder, tmp_path / "hxq")
    assert helix.verify(tmp_path / "hxq", against=folder).ok
