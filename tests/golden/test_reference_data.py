"""The program on checkpoints of earlier software: verify finds no fault, decompress gives the
expected matrices. The data lie outside the repository (docs/testing.md).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from helix_substrate.reference_safetensors import as_floats, read_safetensors, read_tensors

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HELIX_TEST_DATA", ROOT.parent / "shared" / "data")) / "hxq-reference"
FOLDERS = [path for path in sorted(DATA.glob("*")) if Path(f"{path}.expected").is_dir()]
TOLERANCE = 1e-6  # of the largest weight, where a low-rank part is summed

needs_data = pytest.mark.skipif(not FOLDERS, reason=f"{DATA} is absent")
needs_program = pytest.mark.skipif("HELIX_CLI" not in os.environ, reason="HELIX_CLI is not set")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [os.environ["HELIX_CLI"], *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def names(folder: Path) -> str:
    return folder.name


@needs_program
@needs_data
@pytest.mark.parametrize("folder", FOLDERS, ids=names)
def test_verify_finds_no_fault(folder: Path) -> None:
    result = run("verify", folder)
    assert result.returncode == 0, result.stdout + result.stderr
    expected = json.loads(Path(f"{folder}.expected", "expected.json").read_text())
    assert all(key in result.stderr for key in expected["ignored_keys"]), result.stderr


@needs_program
@needs_data
@pytest.mark.parametrize("folder", FOLDERS, ids=names)
def test_decompress_gives_the_expected_matrices(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "dense"
    result = run("decompress", folder, out, "--dtype", "f32")
    assert result.returncode == 0, result.stdout + result.stderr
    expected = json.loads(Path(f"{folder}.expected", "expected.json").read_text())
    wanted = read_safetensors(Path(f"{folder}.expected", "expected.safetensors"))
    dense = read_tensors(out)
    keys = {module["dense_key"] for module in expected["modules"].values()}
    assert dense.keys() == keys | expected["exact_keys"].keys()
    for module in expected["modules"].values():
        key = module["dense_key"]
        got, want = as_floats(dense[key]), as_floats(wanted[key])
        tolerance = 0.0 if module["bit_exact"] else TOLERANCE * np.abs(want).max()
        assert np.abs(got - want).max() <= tolerance, key
