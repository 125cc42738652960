"""What the tests of the transformers integration share. Without transformers all are skipped."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from optional_packages import SkippedModule, missing  # noqa: E402

REASON = missing("torch", "transformers", "helix_substrate._native")

if not REASON:
    import transformers
    from small_models import MODELS, OPTIONS, save_dense

    import helix_substrate
    from helix_substrate import HxqConfig

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    helix_substrate.transformers.register()


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    if REASON:
        return SkippedModule.from_parent(parent, path=module_path, reason=REASON)
    return None


@pytest.fixture(scope="session")
def verify():
    """Checks a folder with the library's own reader, which shares no code with the loader."""

    def check(folder):
        assert helix_substrate.verify(folder, progress=False).problems == ()

    return check


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
