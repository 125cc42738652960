"""tools/check_layers.py against small trees, good and bad."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECKER = Path(__file__).resolve().parents[2] / "tools" / "check_layers.py"
LAYERS = """\
# floors
base:
tensor: base
codec: base tensor

public error.h: base
public codec.h: codec
"""


@pytest.fixture
def tree(tmp_path):
    """A tree that obeys its plan."""
    write(tmp_path, "src/LAYERS", LAYERS)
    write(tmp_path, "include/helix/error.h", "#include <string>\n")
    write(tmp_path, "include/helix/codec.h", '#include "helix/error.h"\n')
    write(tmp_path, "src/base/text.h", "#pragma once\n#include <format>\n")
    write(tmp_path, "src/tensor/tensor.cpp", '#include "base/text.h"\n#include "helix/error.h"\n')
    write(tmp_path, "src/codec/cpu/fit.cpp", '#include "tensor/tensor.h"\n#include <hwy/base.h>\n')
    write(tmp_path, "apps/cli/main.cpp", '#include "cli/table.h"\n#include "helix/codec.h"\n')
    return tmp_path


def write(root, path, text):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def check(root):
    done = subprocess.run(
        [sys.executable, CHECKER, root], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def refused(root, expected):
    status, output = check(root)
    assert status == 1
    assert expected in output.splitlines(), output
    return True


def test_a_tree_that_obeys_passes(tree):
    assert check(tree) == (0, "floors: every include is allowed\n")


def test_the_project_itself_passes():
    status, output = check(CHECKER.parent.parent)
    assert status == 0, output


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        (
            "src/base/leak.cpp",
            '\n#include "codec/fit.h"\n',
            "src/base/leak.cpp:2: base may not include codec/fit.h",
        ),
        (
            "src/base/leak.h",
            "#  include <tensor/x.h>\n",
            "src/base/leak.h:1: base may not include tensor/x.h",
        ),
        (
            "src/tensor/deep/er/leak_test.cpp",
            '#include "helix/codec.h"\n',
            "src/tensor/deep/er/leak_test.cpp:1: "
            "tensor may not include helix/codec.h, which belongs to codec",
        ),
        (
            "src/codec/x.cu",
            '#include "helix/secret.h"\n',
            "src/codec/x.cu:1: helix/secret.h is not listed as a public header in src/LAYERS",
        ),
        (
            "src/codec/x.cpp",
            '#include "apps/cli/main.h"\n',
            'src/codec/x.cpp:1: "apps/cli/main.h" names no floor: '
            "paths start at src/, other libraries stand in <>",
        ),
        (
            "src/codec/x.cpp",
            '#include "../base/text.h"\n',
            'src/codec/x.cpp:1: "../base/text.h" names no floor: '
            "paths start at src/, other libraries stand in <>",
        ),
        ("src/misc/x.cpp", "", "src/misc/x.cpp: lies on no floor of src/LAYERS"),
        ("src/loose.cpp", "", "src/loose.cpp: lies on no floor of src/LAYERS"),
        (
            "include/helix/new.h",
            "",
            "include/helix/new.h: not listed as a public header in src/LAYERS",
        ),
        (
            "include/helix/error.h",
            '#include "helix/codec.h"\n',
            "include/helix/error.h:1: base may not include helix/codec.h, which belongs to codec",
        ),
        (
            "include/helix/codec.h",
            '#include "base/text.h"\n',
            "include/helix/codec.h:1: a public header includes base/text.h, which is not installed",
        ),
        (
            "apps/cli/main.cpp",
            '#include "codec/fit.h"\n',
            "apps/cli/main.cpp:1: codec/fit.h is not part of the public API",
        ),
        (
            "examples/x.cpp",
            '#include "helix/hidden.h"\n',
            "examples/x.cpp:1: helix/hidden.h is not a public header",
        ),
    ],
)
def test_an_include_that_the_plan_forbids_is_named(tree, path, text, fault):
    write(tree, path, text)
    assert refused(tree, fault)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("base: codec", "src/LAYERS:8: floor base occurs twice"),
        ("eval: engine", "src/LAYERS:8: eval may include engine, which no line above defines"),
        ("public error.h: base", "src/LAYERS:8: public header error.h occurs twice"),
        ("public x.h: attic", "src/LAYERS:8: x.h belongs to the unknown floor attic"),
        ("public gone.h: base", "src/LAYERS: public header gone.h does not exist"),
        ("tensor may include base", "src/LAYERS:8: not understood: tensor may include base"),
    ],
)
def test_a_plan_that_is_none_is_refused(tree, line, fault):
    write(tree, "src/LAYERS", LAYERS + line + "\n")
    assert refused(tree, fault)


def test_a_cycle_is_named(tree):
    write(tree, "src/LAYERS", LAYERS.replace("base:\n", "base: codec\n"))
    for floor in ("base", "tensor", "codec"):
        assert refused(tree, f"src/LAYERS: floor {floor} lies on a cycle")


def test_includes_in_comments_do_not_count(tree):
    write(tree, "src/base/quiet.cpp", '// #include "codec/fit.h"\n')
    assert check(tree)[0] == 0
