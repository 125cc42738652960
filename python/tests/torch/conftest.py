"""Compressed matrices of every kind, and what numpy makes of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the tests of helix_substrate.torch need torch")
sys.path.insert(0, str(Path(__file__).parent))
