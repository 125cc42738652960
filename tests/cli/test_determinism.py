"""The same bytes with any number of threads and any instruction set."""

import itertools
import os

import pytest

from helix_program import FIXTURES, comparable, files_below, random_matrix, write_model

OPTIONS = ["--k", "*up*=700", "--shard-size", "100kB"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Matrices of several sizes and types, so that threads finish in another order."""
    arrays = {}
    for number, (rows, columns) in enumerate(itertools.product((40, 96, 256), (64, 130))):
        matrix = random_matrix(rows, columns, seed=number)
        kind = ("F32", "BF16", "F64", "F16")[number % 4]
        arrays[f"layers.{number}.up.weight"] = (kind, matrix)
        arrays[f"layers.{number}.down.weight"] = (kind, matrix.T.copy())
    return write_model(tmp_path_factory.mktemp("source") / "model", arrays)


@pytest.fixture(scope="module")
def expected(helix, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    helix.succeed("compress", source, folder / "out", *OPTIONS, "--threads", "1")
    helix.succeed("decompress", folder / "out", folder / "dense", "--threads", "1")
    return comparable(folder / "out"), files_below(folder / "dense")


def check(helix, source, expected, folder, *options, **environment):
    environment = os.environ | environment
    helix.succeed("compress", source, folder / "out", *OPTIONS, *options, env=environment)
    helix.succeed("decompress", folder / "out", folder / "dense", *options, env=environment)
    assert (comparable(folder / "out"), files_below(folder / "dense")) == expected


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads(helix, source, expected, tmp_path, threads):
    check(helix, source, expected, tmp_path, "--threads", threads)


@pytest.mark.parametrize("isa", ["scalar", "avx2", "avx512", "avx512_vbmi", "amx", "neon"])
def test_instruction_sets(helix, source, expected, tmp_path, isa):
    probe = helix("compress", source, tmp_path / "probe", env=os.environ | {"HELIX_FORCE_ISA": isa})
    if "HELIX_FORCE_ISA" in probe.stderr:
        pytest.skip(probe.stderr.strip())
    check(helix, source, expected, tmp_path, HELIX_FORCE_ISA=isa)


def test_another_locale_and_folder(helix, source, expected, tmp_path):
    (tmp_path / "deep").mkdir()
    check(helix, source, expected, tmp_path / "deep", LC_ALL="de_DE.UTF-8", TZ="Asia/Tokyo")


def test_order_of_runs(helix, expected, source, tmp_path):
    """Nothing is carried from run to run: twice in the same folder, with another run between."""
    helix.succeed("compress", source, tmp_path / "out", *OPTIONS)
    helix.succeed("compress", FIXTURES / "bert", tmp_path / "out", "--force")
    helix.succeed("compress", source, tmp_path / "out", *OPTIONS, "--force")
    assert comparable(tmp_path / "out") == expected[0]
