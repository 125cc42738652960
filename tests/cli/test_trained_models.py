"""Trained models of the shared test data: known text, known perplexity. Skipped without them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HELIX = os.environ.get("HELIX_CLI", str(ROOT / "build/dev/apps/cli/helix"))
DATA = Path(os.environ.get("HELIX_TEST_DATA", ROOT.parent / "shared" / "data"))
STORIES = DATA / "weights" / "stories260K"
SAMPLE = DATA / "text" / "tinystories_sample.txt"

pytestmark = [
    pytest.mark.skipif(not Path(HELIX).is_file(), reason="no program; set HELIX_CLI"),
    pytest.mark.skipif(not STORIES.is_dir(), reason="no shared test data"),
]


def run(*arguments: object) -> str:
    done = subprocess.run([HELIX, *map(str, arguments)], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def from_llama2c(weights: Path, out: Path) -> Path:
    pytest.importorskip("tokenizers")
    tool = ROOT / "tools" / "llama2c_to_hf.py"
    tokenizer = DATA / "tokenizers" / "tok512" / "tok512.bin"
    subprocess.run([sys.executable, tool, weights, tokenizer, out], check=True, timeout=120)
    return out


def evaluate(model: Path, *options: object) -> dict:
    return json.loads(
        run("eval", model, "--text", SAMPLE, "--protocol", "documents", "--json", *options)
    )


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return from_llama2c(STORIES / "stories260K.bin", tmp_path_factory.mktemp("stories") / "dense")


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_greedy_text_is_the_known_one(stories: Path, precision: str):
    expected = (STORIES / "stories260K.greedy200.expected.txt").read_text()
    report = json.loads(run("generate", stories, "", "-n", 200, "--json", "--precision", precision))
    assert len(report["tokens"]) == 200
    assert report["text"].strip() == expected.strip()


def test_perplexity_is_the_known_one(stories: Path):
    assert evaluate(stories, "--precision", "f32")["perplexity"] == pytest.approx(3.548, abs=5e-4)


def test_the_second_model(tmp_path: Path):
    folder = from_llama2c(DATA / "weights" / "llama2xs" / "model.bin", tmp_path / "dense")
    report = evaluate(folder, "--precision", "f32")
    assert report["perplexity"] == pytest.approx(6.82, abs=0.01)


def test_compressed_is_near(stories: Path, tmp_path: Path):
    run("compress", stories, tmp_path / "hxq", "--quiet")
    report = evaluate(tmp_path / "hxq", "--against", stories, "--precision", "f32")
    # As good as codes of 8 bits are, and not as good as the weights themselves.
    assert 1e-6 < report["against"]["mean_divergence"] < 1e-3
    assert abs(report["against"]["delta_percent"]) < 0.5
