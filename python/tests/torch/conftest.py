"""Without PyTorch or the compiled module every file here is skipped as a whole."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def missing() -> str:
    for name in ("torch", "helix_substrate._native"):
        try:
            found = importlib.import_module(name).__file__
        except ImportError as error:
            return f"could not import {name}: {error}"
        if found is None:  # this very folder, as a namespace package
            return f"could not import {name}"
    return ""


class SkippedModule(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        pytest.skip(missing(), allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    return SkippedModule.from_parent(parent, path=module_path) if missing() else None
