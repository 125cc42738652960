"""The exceptions: one for each code of the library, and also the built-in that fits."""

from __future__ import annotations

import json
import logging
import pickle
import re
from pathlib import Path

import pytest

pytest.importorskip("helix_substrate._native", exc_type=ImportError)

import helix_substrate as helix
from helix_substrate import errors

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = ROOT / "tests" / "golden" / "hostile"


def codes_of_the_library() -> dict[str, int]:
    header = (ROOT / "include" / "helix" / "error.h").read_text(encoding="utf-8")
    return {name: int(code) for name, code in re.findall(r"\bk(\w+) = (\d+)", header)}


def test_every_code_has_its_exception() -> None:
    codes = codes_of_the_library()
    assert len(codes) == 9
    names = {
        code: errors.ERROR_BY_CODE[code].__name__.removesuffix("Error") for code in codes.values()
    }
    assert names == {code: name.removesuffix("Error") for name, code in codes.items()}
    for code, error in errors.ERROR_BY_CODE.items():
        assert error.code == code
        assert issubclass(error, helix.HelixError)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        ("InvalidArgumentError", ValueError),
        ("NotFoundError", FileNotFoundError),
        ("CorruptDataError", ValueError),
        ("UnsupportedError", NotImplementedError),
        ("IoError", OSError),
        ("OutOfMemoryError", MemoryError),
        ("DeviceError", RuntimeError),
        ("InternalError", RuntimeError),
    ],
)
def test_except_by_the_built_in_name(error: str, builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="a message"):
        raise getattr(helix, error)("a message")
    again = pickle.loads(pickle.dumps(getattr(helix, error)("a message")))
    assert str(again) == "a message"
    assert type(again) is getattr(helix, error)


def test_a_missing_folder(tmp_path: Path) -> None:
    for call in (helix.inspect, helix.verify, helix.load, helix.plan):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            call(tmp_path / "nowhere")


def hostile_cases() -> dict[str, dict]:
    cases = json.loads((HOSTILE / "expected.json").read_text(encoding="utf-8"))
    return {name: case for name, case in cases.items() if "code" in case}


@pytest.mark.parametrize("name", hostile_cases())
def test_broken_folders_have_their_code_and_are_named(name: str, tmp_path: Path) -> None:
    case = hostile_cases()[name]
    expected = "".join(word.capitalize() for word in case["code"].split()) + "Error"
    with pytest.raises(getattr(errors, expected)) as caught:
        helix.decompress(HOSTILE / name, tmp_path / "dense")
    for word in case["words"]:
        assert word in str(caught.value)
    assert not (tmp_path / "dense").exists()


def test_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    with pytest.raises(helix.NotFoundError) as caught:
        helix.inspect(folder)
    assert "caf\udce9" in str(caught.value)


def test_warnings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "helix_substrate"):
        helix.inspect(ROOT / "tests" / "golden" / "good" / "mangled_names")
    assert [record.name for record in caplog.records] == ["helix_substrate"] * len(caplog.records)
    assert "ignored" in caplog.text
