"""The console script `helix`: becomes the compiled program that the package carries."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def program() -> Path:
    """Where the program lies."""
    return Path(__file__).with_name("bin") / "helix"


def main() -> None:
    """Replaces this process by the program, with the same arguments."""
    path = program()
    if not path.exists():
        sys.exit(f"helix: the program is not part of this installation ({path} is missing)")
    os.execv(path, ["helix", *sys.argv[1:]])
