"""What the tests of the program share: the program, the fixtures, each fixture compressed once."""

import os
import shutil
from pathlib import Path

import pytest

from helix_program import FIXTURES, REPOSITORY, Helix


@pytest.fixture(scope="session")
def helix():
    """The program under test: $HELIX_CLI, or the one that `make build` made."""
    program = Path(os.environ.get("HELIX_CLI", REPOSITORY / "build/dev/apps/cli/helix"))
    if not program.is_file():
        pytest.skip(f"no program at {program}; set HELIX_CLI")
    return Helix(program.resolve())


@pytest.fixture(scope="session")
def compressed(helix, tmp_path_factory):
    """The folder of a fixture by name, compressed with the default options."""
    folder = tmp_path_factory.mktemp("compressed")

    def get(name):
        target = folder / name
        if not target.exists():
            helix.succeed("compress", FIXTURES / name, target, "--quiet")
        return target

    return get


@pytest.fixture
def model(tmp_path):
    """A private, writable copy of tiny-llama."""
    return shutil.copytree(FIXTURES / "tiny-llama", tmp_path / "model")
