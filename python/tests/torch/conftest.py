"""Without PyTorch or the compiled module every file here is skipped as a whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from optional_packages import SkippedModule, missing  # noqa: E402

REASON = missing("torch", "helix_substrate._native")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    if REASON:
        return SkippedModule.from_parent(parent, path=module_path, reason=REASON)
    return None
