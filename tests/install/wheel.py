"""Run by ctest: builds the wheel, installs it into a virtual environment without PyTorch, uses it.

    wheel.py WORK COMPILER

Everything is written under WORK, whose build folder is kept: the next run compiles what changed.
No network: the build's packages are those of the running interpreter, and so is numpy.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = 77
SCRIPT = """
import sys, numpy as np, helix_substrate as helix
assert "site-packages" in helix.__file__, helix.__file__
source, folder = sys.argv[1:]
receipt = helix.compress(source, folder)
assert helix.verify(folder, against=source).ok
tensor = helix.encode(np.random.default_rng(0).standard_normal((64, 96)))
assert tensor.metrics.snr_db > 40
assert np.allclose(tensor.matmul(np.eye(96)), tensor.decode().T)
print(helix.load(folder).generate("Once", max_tokens=4, ignore_end_tokens=True).tokens.size)
try:
    helix.HelixLinear
except ImportError as error:
    print("torch" in str(error))
"""


def run(*command: object, **options: object) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run([str(part) for part in command], text=True, stdout=-1, **options)
    if done.returncode != 0:
        sys.exit(f"failed with {done.returncode}: {command}\n{done.stdout}")
    return done.stdout


def build_wheel(work: Path, compiler: str) -> Path:
    """The wheel of the tree, through ccache where there is one: it knows compilers by name."""
    environment = {**os.environ, "CXX": compiler}
    if shutil.which("ccache"):
        environment.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    command += ["--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", work / "wheels"]
    command += [f"--config-settings=build-dir={work / 'build'}", ROOT]
    run(*command, env=environment)
    (wheel,) = (work / "wheels").glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """What has to be inside, and what must not."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    modules = [name for name in names if name.startswith("helix_substrate/_native.")]
    assert len([name for name in modules if name.endswith(".so")]) == 1, modules
    for wanted in ("bin/helix", "py.typed", "_native.pyi", "__init__.pyi", "torch/linear.py"):
        assert f"helix_substrate/{wanted}" in names, wanted
    assert any(name.endswith("licenses/LICENSE") for name in names)
    foreign = [
        name for name in names if not name.startswith(("helix_substrate/", "helix_substrate-"))
    ]
    assert foreign == [], foreign


def new_environment(folder: Path) -> Path:
    """The interpreter of a virtual environment that has numpy and nothing else."""
    venv.create(folder, clear=True, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    numpy = Path(importlib.util.find_spec("numpy").origin).parent
    for name in ("numpy", "numpy.libs"):
        if (numpy.parent / name).exists():
            (packages / name).symlink_to(numpy.parent / name)
    return folder / "bin" / "python"


def main() -> int:
    for needed in ("pip", "scikit_build_core", "nanobind", "numpy"):
        if importlib.util.find_spec(needed) is None:
            print(f"SKIPPED: {sys.executable} has no {needed} (it is in requirements-dev.txt)")
            return SKIPPED
    work = Path(sys.argv[1])
    for folder in ("wheels", "venv", "hxq"):
        shutil.rmtree(work / folder, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel(work, sys.argv[2])
    check_contents(wheel)
    python = new_environment(work / "venv")
    install = ["install", "--quiet", "--no-deps", "--no-index", wheel]
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, *install)
    source = ROOT / "tests" / "fixtures" / "tiny-llama"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    out = run(python, "-c", SCRIPT, source, work / "hxq", cwd=work, env=environment)
    assert out == "4\nTrue\n", out
    version = run(work / "venv" / "bin" / "helix", "--version", cwd=work, env=environment)
    assert version.split()[-1] in wheel.name, version
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
