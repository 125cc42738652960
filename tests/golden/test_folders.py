"""The reference decoder refuses every hostile folder, and reads every good one as expected."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from helix_substrate.reference_decoder import read_checkpoint
from helix_substrate.reference_safetensors import FormatError

GOLDEN = Path(__file__).resolve().parent
ROOT = GOLDEN.parents[1]


def expected(group: str) -> dict[str, dict]:
    return json.loads((GOLDEN / group / "expected.json").read_text(encoding="utf-8"))


def read_everything(folder: Path) -> dict[str, list]:
    """Shape and SHA-256 of every compressed module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checkpoint = read_checkpoint(folder)
    dense = {module: checkpoint.decode_module(module) for module in sorted(checkpoint.modules)}
    return {
        module: [list(matrix.shape), hashlib.sha256(matrix.astype("<f4").tobytes()).hexdigest()]
        for module, matrix in dense.items()
    }


@pytest.mark.parametrize("case", expected("hostile"))
def test_hostile_folders_are_refused(case: str) -> None:
    # OSError: a shard name that the system does not take.
    with pytest.raises((FormatError, OSError)):
        read_everything(GOLDEN / "hostile" / case)


@pytest.mark.parametrize("case", expected("good"))
def test_good_folders_are_read(case: str) -> None:
    modules = expected("good")[case]["modules"]
    wanted = {name: [matrix["shape"], matrix["sha256"]] for name, matrix in modules.items()}
    assert read_everything(GOLDEN / "good" / case) == wanted


def test_the_folders_come_from_the_script(tmp_path: Path) -> None:
    script = ROOT / "tools" / "make_hostile.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True)
    made = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    kept = {
        path.relative_to(GOLDEN): path.read_bytes()
        for group in ("good", "hostile")
        for path in (GOLDEN / group).rglob("*")
        if path.is_file()
    }
    assert made.keys() == kept.keys()
    assert [path for path in made if made[path] != kept[path]] == []
