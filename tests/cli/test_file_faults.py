"""Every single step of the program's work on files is a moment to be killed or to find no space.

test_interruption.py does the same at random moments and test_full_disk.py with a real full disk;
here a small model meets each step once (file_faults.c).
"""

import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from helix_program import (
    FIXTURES,
    INPUT_OUTPUT,
    SUCCESS,
    comparable,
    files_below,
    leftovers,
)

SOURCE = FIXTURES / "llama-tied-copy"
OPTIONS = ["--threads", "1", "--shard-size", "12kB", "--quiet"]


@pytest.fixture(scope="module")
def faults(helix, tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to build file_faults.c with")
    library = tmp_path_factory.mktemp("faults") / "file_faults.so"
    source = Path(__file__).with_name("file_faults.c")
    command = [compiler, "-shared", "-fPIC", "-O1", source, "-o", library, "-ldl"]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("file_faults.c does not build here")

    def environment(kind, at):
        return os.environ | {"LD_PRELOAD": str(library), "FAULT_KIND": kind, "FAULT_AT": str(at)}

    if helix("--version", env=environment("none", 0)).returncode != SUCCESS:
        pytest.skip("the program does not start with LD_PRELOAD (a sanitizer's build?)")
    return environment


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A model with files beside it, one in a sub-folder."""
    folder = shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "model")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def unbroken(helix, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    helix.succeed("compress", source, folder / "out", *OPTIONS)
    return comparable(folder / "out")


def check_nothing_half_written(destination, unbroken, old=None):
    """Under the final name there is nothing, or the old output, or the whole new one."""
    if destination.exists():
        files = files_below(destination)
        assert files == old or comparable(destination) == unbroken


def steps(helix, faults, kind, arguments, prepare):
    """Runs with a fault at step 1, 2, ... until a run meets none; yields each broken one."""
    for at in itertools.count(1):
        prepare()
        done = helix(*arguments, env=faults(kind, at))
        if done.returncode == SUCCESS:
            assert at > 10
            return
        assert at < 2000
        yield done


def test_killed_at_every_step_then_resumed(helix, faults, source, unbroken, tmp_path):
    out = tmp_path / "out"

    def prepare():
        shutil.rmtree(out, ignore_errors=True)

    arguments = ["compress", source, out, *OPTIONS]
    for done in steps(helix, faults, "kill", arguments, prepare):
        assert done.returncode == -signal.SIGKILL
        check_nothing_half_written(out, unbroken)
        helix.succeed(*arguments, "--resume")
        assert comparable(out) == unbroken
        assert leftovers(out) == []


def test_killed_at_every_step_while_replacing(helix, faults, source, unbroken, tmp_path):
    """--force over an old output; then --resume, or --force once more."""
    out = tmp_path / "out"

    def prepare():
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        (out / "config.json").write_text("{}")

    old = {"config.json": b"{}"}
    arguments = ["compress", source, out, *OPTIONS, "--force"]
    for number, done in enumerate(steps(helix, faults, "kill", arguments, prepare)):
        assert done.returncode == -signal.SIGKILL
        check_nothing_half_written(out, unbroken, old)
        kept = out if out.exists() else tmp_path / "out.hxq-replaced"
        assert files_below(kept) == old or comparable(out) == unbroken
        helix.succeed(*arguments, *(["--resume"] if number % 2 else []))
        assert comparable(out) == unbroken
        assert leftovers(out) == []


def test_resume_without_force_never_takes_an_old_output_for_the_new(
    helix, faults, source, unbroken, tmp_path
):
    out = tmp_path / "out"

    def prepare():
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        out.mkdir()
        (out / "config.json").write_text("{}")
        (out / "hxq_receipt.json").write_text("{}")

    arguments = ["compress", source, out, *OPTIONS]
    for _ in steps(helix, faults, "kill", [*arguments, "--force"], prepare):
        done = helix(*arguments, "--resume")
        if done.returncode == SUCCESS:
            assert comparable(out) == unbroken
            assert leftovers(out) == []
        else:
            assert "exists already" in done.stderr


def test_no_space_at_every_step_then_resumed(helix, faults, source, unbroken, tmp_path):
    out = tmp_path / "out"

    def prepare():
        shutil.rmtree(out, ignore_errors=True)

    arguments = ["compress", source, out, *OPTIONS]
    for done in steps(helix, faults, "full", arguments, prepare):
        assert done.returncode == INPUT_OUTPUT, done.stderr
        assert "No space left on device" in done.stderr
        assert str(tmp_path / "out") in done.stderr
        assert not out.exists()
        helix.succeed(*arguments, "--resume")
        assert comparable(out) == unbroken
        assert leftovers(out) == []


@pytest.mark.parametrize("kind", ["kill", "full"])
def test_decompress_at_every_step(helix, faults, compressed, tmp_path, kind):
    """It starts again rather than resumes; whatever was left is gone afterwards."""
    source, out = compressed("llama-tied-copy"), tmp_path / "out"
    plain = tmp_path / "plain"
    helix.succeed("decompress", source, plain, "--quiet")
    expected = files_below(plain)

    def prepare():
        shutil.rmtree(out, ignore_errors=True)

    arguments = ["decompress", source, out, "--threads", "1", "--quiet"]
    for done in steps(helix, faults, kind, arguments, prepare):
        if kind == "full":
            assert done.returncode == INPUT_OUTPUT
            assert "No space left on device" in done.stderr
            assert not out.exists()
            assert leftovers(out) == []
        if out.exists():
            assert files_below(out) == expected
            helix.succeed(*arguments, "--force")
        else:
            helix.succeed(*arguments)
        assert files_below(out) == expected
        assert leftovers(out) == []
