"""The package as a whole: what importing it costs and offers, stubs, version, instruction sets."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import helix_substrate as helix

native = pytest.importorskip("helix_substrate._native", exc_type=ImportError)

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "helix_substrate"
OPTIONAL = ["torch", "transformers", "peft", "accelerate", "safetensors", "huggingface_hub", "tqdm"]
BLOCK = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))"


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_it_imports_little() -> None:
    code = "import sys, helix_substrate; print(*sys.modules)"
    modules = set(run_python(code).split())
    assert not modules & {"numpy", *OPTIONAL}
    assert "helix_substrate._native" not in modules


def test_everything_native_works_with_numpy_alone() -> None:
    fixture = str(ROOT / "tests" / "fixtures" / "tiny-llama")
    code = f"""{BLOCK}
import tempfile, numpy as np, helix_substrate as helix
tensor = helix.encode(np.random.default_rng(0).standard_normal((64, 64)))
assert abs(tensor.matmul(np.eye(64)).T - tensor.decode()).max() == 0
with tempfile.TemporaryDirectory() as folder:
    helix.compress({fixture!r}, folder + "/hxq", progress=True)
    assert helix.verify(folder + "/hxq").ok
    model = helix.load(folder + "/hxq")
    print(len(model.generate("Hello", max_tokens=3, ignore_end_tokens=True).tokens))
"""
    assert run_python(code) == "3\n"


def test_without_torch_its_names_say_what_is_missing() -> None:
    code = f"""{BLOCK}
import helix_substrate as helix
try: helix.HelixLinear
except ImportError as error: print(error)
"""
    assert "torch" in run_python(code)


def test_every_name_is_there_and_in_the_stub() -> None:
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imported = {
        (node.module, alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    table = {(f"helix_substrate.{module}", name) for name, module in helix._MODULE_OF.items()}
    assert imported == table
    assert {name for _, name in imported} | {"__version__"} == set(helix.__all__)
    for module, name in imported:
        if module not in ("helix_substrate.torch", "helix_substrate.transformers"):
            assert getattr(helix, name).__module__ == module
            assert getattr(helix, name).__doc__
    assert set(helix.__all__) <= set(dir(helix))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = helix.no_such_name


def names_in(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    found: dict[str, list[ast.stmt]] = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node.body
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = []
    return found


def public(names: object) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_the_stub_of_the_compiled_module() -> None:
    stub = names_in(ast.parse((PACKAGE / "_native.pyi").read_text(encoding="utf-8")).body)
    assert public(stub) == public(dir(native))
    for name in ("Matrix", "Model"):
        assert public(names_in(stub[name])) == public(dir(getattr(native, name)))


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_one_version() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    version = re.search(r"project\(helix VERSION ([0-9.]+)", text)[1]
    assert helix.__version__ == native.version == version
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)[1] == version


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "avx512_vbmi", "amx"])
def test_every_instruction_set_is_carried(isa: str) -> None:
    code = f"""
import numpy as np, helix_substrate as helix
rng = np.random.default_rng(0)
tensor = helix.encode(rng.standard_normal((64, 256)))
x = rng.standard_normal((20, 256)).astype(np.float32)
try:
    exact = x.astype(np.float64) @ tensor.decode().T.astype(np.float64)
    error = np.linalg.norm(tensor.matmul(x, precision="bf16") - exact) / np.linalg.norm(exact)
    used = helix.load({str(ROOT / "tests/parity/llama-gqa")!r}).description.instruction_set
    print("used" if error < 2e-3 and used == "{isa}" else (error, used))
except (helix.UnsupportedError, helix.InvalidArgumentError) as error:
    print("absent", error)
"""
    found = run_python(code, HELIX_FORCE_ISA=isa)
    if found.startswith("absent"):
        pytest.skip(f"this machine has no {isa}")
    assert found == "used\n"


def test_the_console_script_is_the_program(tmp_path: Path) -> None:
    from helix_substrate import cli

    assert cli.program() == PACKAGE / "bin" / "helix"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "helix"
    program.write_text('#!/bin/sh\necho "$0" "$@"; exit 7\n')
    program.chmod(0o755)
    code = f"""import sys; from helix_substrate import cli
cli.__file__ = {str(tmp_path / "cli.py")!r}
sys.argv[1:] = ["verify", "a b"]
cli.main()"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 7
    assert done.stdout.endswith("verify a b\n")
