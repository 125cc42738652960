"""What the tests of the transformers integration share. Without transformers all are skipped."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from small_models import MODELS, OPTIONS, save_dense  # noqa: E402

import helix_substrate  # noqa: E402
from helix_substrate import HxqConfig  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
helix_substrate.transformers.register()
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def program():
    """Runs the `helix` program and returns what it printed."""
    path = Path(os.environ.get("HELIX_CLI", REPOSITORY / "build/dev/apps/cli/helix"))
    if not path.is_file():
        pytest.skip(f"no program at {path}; set HELIX_CLI")

    def run(*arguments):
        command = [str(path), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def dense(tmp_path_factory):
    """The folder of a small dense model, by name, written once."""
    root = tmp_path_factory.mktemp("dense")

    def get(name):
        folder = root / name
        return folder if folder.exists() else save_dense(name, folder)

    return get


@pytest.fixture(scope="session")
def compressed(dense, tmp_path_factory):
    """The folder of a small model compressed while loading and saved, by name, written once."""
    root = tmp_path_factory.mktemp("compressed")

    def get(name):
        folder = root / name
        if not folder.exists():
            options = {"quantization_config": HxqConfig(**OPTIONS)}
            model = MODELS[name][0].from_pretrained(dense(name), **options)
            model.save_pretrained(folder)
        return folder

    return get


@pytest.fixture
def load():
    """Loads a folder as the class of the model `name`; nothing may be missing or left over."""

    def get(name, folder, **options):
        model, info = MODELS[name][0].from_pretrained(folder, output_loading_info=True, **options)
        assert not any(info.values()), info
        return model

    return get


@pytest.fixture
def quantization():
    """The quantization_config of a folder."""
    return lambda folder: json.loads((folder / "config.json").read_text())["quantization_config"]
