"""Files that need packages which are not installed are skipped as a whole, saying which."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest


def missing(*names: str) -> str:
    """Why not all of these can be imported; empty where they can."""
    for name in names:
        try:
            found = importlib.import_module(name).__file__
        except ImportError as error:
            return f"could not import {name}: {error}"
        if found is None:  # a test folder of that name, as a namespace package
            return f"could not import {name}"
    return ""


class SkippedModule(pytest.File):
    """A file of tests that cannot run here."""

    def __init__(self, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def collect(self) -> Iterator[pytest.Item]:
        pytest.skip(self.reason, allow_module_level=True)
