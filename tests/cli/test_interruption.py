"""Killed, stopped, damaged and disputed runs.

The output is whole or absent, and a resumed run gives the same bytes as an unbroken one.
"""

import json
import random
import shutil
import signal
import subprocess
import time

import pytest

from helix_program import (
    ARGUMENT,
    FIXTURES,
    STOPPED,
    comparable,
    files_below,
    leftovers,
    receipt_of,
)
from make_dummy_checkpoint import make_tensors
from model_folder import write_checkpoint, write_json

CONFIG = {
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "num_hidden_layers": 8,
    "vocab_size": 1000,
    "tie_word_embeddings": True,
}
OPTIONS = ["--shard-size", "8MB", "--k", "*down_proj=1024", "--quiet"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """About 42 MB in 56 matrices: a run takes half a second or more."""
    folder = tmp_path_factory.mktemp("source") / "model"
    folder.mkdir()
    write_json(folder / "config.json", CONFIG)
    write_checkpoint(folder, make_tensors(CONFIG, "BF16", seed=1), 30_000_000)
    (folder / "tokenizer.json").write_text("{}" * 1000)
    return folder


@pytest.fixture(scope="module")
def unbroken(helix, source, tmp_path_factory):
    """(files of a run that nothing stopped, its duration in seconds)"""
    folder = tmp_path_factory.mktemp("unbroken")
    began = time.monotonic()
    helix.succeed("compress", source, folder / "out", *OPTIONS)
    duration = time.monotonic() - began
    files = comparable(folder / "out")
    shutil.rmtree(folder)
    return files, duration


def kill_after(helix, seconds, *arguments, signal_number=signal.SIGKILL):
    """The exit status and standard error of a run that gets a signal after some time."""
    process = helix.start(*arguments)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal_number)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def interrupt(helix, source, out, duration, *options, done=0.5):
    """Kills runs until one leaves finished matrices behind."""
    journal = out.parent / f"{out.name}.hxq-journal"
    for attempt in range(10):
        share = min(done + 0.05 * attempt, 0.95)
        kill_after(helix, share * duration, "compress", source, out, *OPTIONS, *options)
        if out.exists():  # quicker than the one that was timed
            shutil.rmtree(out)
            duration *= 0.7
        elif journal.exists() and journal.stat().st_size > 100_000:
            return journal
        else:
            options = ("--resume",)
    pytest.fail("no run could be stopped half-way")


def check(helix, source, out, unbroken, *options):
    helix.succeed("compress", source, out, *OPTIONS, "--resume", *options)
    assert comparable(out) == unbroken[0]
    assert leftovers(out) == []


def test_killed_at_twenty_random_moments(helix, source, unbroken, tmp_path):
    moments = random.Random(20).sample(range(1000), 20)
    files, duration = unbroken
    killed = resumed = 0
    for number, moment in enumerate(moments):
        out = tmp_path / f"out{number}"
        arguments = ["compress", source, out, *OPTIONS]
        status, _ = kill_after(helix, moment / 1000 * duration, *arguments)
        killed += status == -signal.SIGKILL
        finished = out.exists() and leftovers(out) == []  # killed on its way out, or not at all
        if out.exists():
            assert comparable(out) == files
        helix.succeed(*arguments, "--force" if finished else "--resume")
        assert comparable(out) == files
        assert leftovers(out) == []
        resumed += receipt_of(out)["run"]["resumed"]
        shutil.rmtree(out)
    assert killed >= 10
    assert resumed >= 5


def test_killed_again_and_again(helix, source, unbroken, tmp_path):
    """Every run gets a little further; resuming is resumed."""
    out = tmp_path / "out"
    for moment in (0.3, 0.4, 0.2, 0.5, 0.4):
        options = [*OPTIONS, "--resume"]
        kill_after(helix, moment * unbroken[1], "compress", source, out, *options)
    if not out.exists():
        check(helix, source, out, unbroken)
    assert comparable(out) == unbroken[0]


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(helix, source, unbroken, tmp_path, signal_number):
    out = tmp_path / "out"
    arguments = ["compress", source, out, *OPTIONS]
    for share in (0.5, 0.4, 0.3, 0.2):
        status, errors = kill_after(
            helix, share * unbroken[1], *arguments, signal_number=signal_number
        )
        if status != 0:
            break
        shutil.rmtree(out)
    assert status == STOPPED
    assert errors == "helix: cancelled: stopped on request\n"
    assert not out.exists()
    check(helix, source, out, unbroken)


def test_stopped_decompress_leaves_nothing(helix, source, unbroken, tmp_path):
    helix.succeed("compress", source, tmp_path / "hxq", *OPTIONS)
    out = tmp_path / "out"
    for share in (0.1, 0.05, 0.02):
        status, errors = kill_after(
            helix,
            share * unbroken[1],
            *("decompress", tmp_path / "hxq", out, "--quiet", "--threads", "1"),
            signal_number=signal.SIGINT,
        )
        if status == STOPPED:
            break
        shutil.rmtree(out, ignore_errors=True)
    if status == -signal.SIGINT:
        pytest.skip("the signal came before the program was ready for it")
    assert (status, errors) == (STOPPED, "helix: cancelled: stopped on request\n")
    assert not out.exists()
    assert leftovers(out) == []


class TestWhatIsLeft:
    """An interrupted run blocks its destination until someone says what is to become of it."""

    @pytest.fixture
    def out(self, helix, source, unbroken, tmp_path):
        out = tmp_path / "out"
        interrupt(helix, source, out, unbroken[1])
        return out

    def test_names_only_beside_the_destination(self, out):
        assert leftovers(out) == ["out.hxq-journal", "out.hxq-partial"]
        assert not out.exists()

    def test_neither_resume_nor_force(self, helix, source, out):
        message = helix.refuse(ARGUMENT, "interrupted", "compress", source, out, *OPTIONS)
        assert "--resume" in message
        assert "--force" in message
        assert leftovers(out) == ["out.hxq-journal", "out.hxq-partial"]

    def test_force_starts_again(self, helix, source, unbroken, out):
        helix.succeed("compress", source, out, *OPTIONS, "--force")
        assert comparable(out) == unbroken[0]
        assert receipt_of(out)["run"]["resumed"] is False
        assert leftovers(out) == []

    def test_resume_with_other_threads(self, helix, source, unbroken, out):
        check(helix, source, out, unbroken, "--threads", "1")
        assert receipt_of(out)["run"]["resumed"] is True

    @pytest.mark.parametrize(
        "options",
        [
            ["--k", "128"],
            ["--outliers", "none"],
            ["--exclude", "*q_proj"],
            ["--exclude", "*up_proj", "--exclude", "*1.mlp*"],
            ["--column-scales", "none"],
        ],
    )
    def test_resume_with_other_options(self, helix, source, unbroken, out, options):
        arguments = ["compress", source, out, *OPTIONS, *options, "--resume"]
        message = helix.refuse(ARGUMENT, "another source, other options", *arguments)
        assert "--force" in message
        check(helix, source, out, unbroken)

    def test_resume_with_another_source(self, helix, source, unbroken, out, tmp_path):
        other = shutil.copytree(source, tmp_path / "other")
        shard = next(other.glob("*.safetensors"))
        content = bytearray(shard.read_bytes())
        content[-1] ^= 1
        shard.write_bytes(content)
        arguments = ["compress", other, out, *OPTIONS, "--resume"]
        helix.refuse(ARGUMENT, "another source, other options", *arguments)
        check(helix, source, out, unbroken)

    def test_damaged_shard(self, helix, source, unbroken, out):
        for shard in (out.parent / "out.hxq-partial").glob("*.safetensors"):
            content = bytearray(shard.read_bytes())
            for at in range(len(content) // 3, len(content), len(content) // 5 + 1):
                content[at] ^= 0x55
            shard.write_bytes(content)
        check(helix, source, out, unbroken)

    def test_shorter_or_missing_shards(self, helix, source, unbroken, out):
        shards = sorted((out.parent / "out.hxq-partial").glob("*.safetensors"))
        shards[0].unlink()
        shards[1].write_bytes(shards[1].read_bytes()[: shards[1].stat().st_size // 2])
        shards[2].write_bytes(b"")
        check(helix, source, out, unbroken)

    def test_no_work_folder(self, helix, source, unbroken, out):
        shutil.rmtree(out.parent / "out.hxq-partial")
        check(helix, source, out, unbroken)

    @pytest.mark.parametrize("damage", ["torn", "one bit", "first record", "empty", "noise"])
    def test_damaged_journal(self, helix, source, unbroken, out, damage):
        journal = out.parent / "out.hxq-journal"
        content = bytearray(journal.read_bytes())
        if damage == "torn":
            content = content[: -len(content) // 3]
        elif damage == "one bit":
            content[len(content) // 2] ^= 8
        elif damage == "first record":
            content[20] ^= 8
        elif damage == "empty":
            content = b""
        else:
            content = random.Random(1).randbytes(len(content))
        journal.write_bytes(content)
        check(helix, source, out, unbroken)

    def test_foreign_files_in_the_work_folder_are_not_published(self, helix, source, unbroken, out):
        work = out.parent / "out.hxq-partial"
        (work / ".config.json.123.tmp").write_text("half")
        (work / "1_Pooling").mkdir()
        (work / "1_Pooling/.config.json.123.tmp").write_text("half")
        check(helix, source, out, unbroken)

    def test_decompress_to_the_same_destination(self, helix, compressed, out):
        arguments = ["decompress", compressed("bert"), out, "--quiet"]
        helix.refuse(ARGUMENT, "interrupted", *arguments)
        assert leftovers(out) == ["out.hxq-journal", "out.hxq-partial"]
        helix.succeed(*arguments, "--force")
        assert (out / "config.json").is_file()
        assert leftovers(out) == []


def test_resume_without_anything_to_resume(helix, source, unbroken, tmp_path):
    check(helix, source, tmp_path / "out", unbroken)
    assert receipt_of(tmp_path / "out")["run"]["resumed"] is False


def test_two_processes_on_one_destination(helix, source, unbroken, tmp_path):
    out = tmp_path / "out"
    arguments = ["compress", source, out, *OPTIONS, "--threads", "1"]
    first = helix.start(*arguments)
    journal = tmp_path / "out.hxq-journal"
    while first.poll() is None and not journal.exists():
        time.sleep(0.001)
    time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # as long as the others try
    try:
        if not journal.exists():
            pytest.skip("the first run was too quick")
        for option in ("--resume", "--force"):
            helix.refuse(ARGUMENT, "another process", *arguments, option)
        assert helix(*arguments).returncode == ARGUMENT
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait(120) == 0
    assert comparable(out) == unbroken[0]
    assert leftovers(out) == []
    first.communicate()


class TestBetweenTheRenamesOfForce:
    """The old output has its other name already, the new one does not have its own yet."""

    @pytest.fixture
    def out(self, helix, source, unbroken, tmp_path):
        out = tmp_path / "out"
        interrupt(helix, source, out, unbroken[1])
        shutil.copytree(FIXTURES / "bert", tmp_path / "out.hxq-replaced")
        return out

    def test_resume_finishes(self, helix, source, unbroken, out):
        check(helix, source, out, unbroken)

    def test_force_starts_again(self, helix, source, unbroken, out):
        helix.succeed("compress", source, out, *OPTIONS, "--force")
        assert comparable(out) == unbroken[0]
        assert leftovers(out) == []

    def test_a_force_that_fails_brings_the_old_output_back(self, helix, source, out):
        bad = ["--exclude", "nothing"]
        assert helix("compress", source, out, *OPTIONS, "--force", *bad).returncode == ARGUMENT
        not_finite = FIXTURES / "llama-not-finite"
        assert helix("compress", not_finite, out, "--force", "--strict").returncode != 0
        assert files_below(out) == files_below(FIXTURES / "bert")
        assert leftovers(out) == []


class TestBetweenRenameAndEnd:
    """Published, but stopped before the journal was removed."""

    @pytest.fixture
    def out(self, helix, source, unbroken, tmp_path):
        out = tmp_path / "out"
        journal = interrupt(helix, source, out, unbroken[1])
        kept = journal.read_bytes()
        helix.succeed("compress", source, out, *OPTIONS, "--resume")
        journal.write_bytes(kept)
        return out

    def test_resume_ends_it(self, helix, source, unbroken, out):
        text = helix.succeed("compress", source, out, *OPTIONS, "--resume", "--json")
        assert json.loads(text) == receipt_of(out)
        assert comparable(out) == unbroken[0]
        assert leftovers(out) == []

    def test_resume_with_other_options(self, helix, source, unbroken, out):
        arguments = ["compress", source, out, *OPTIONS, "--outliers", "none", "--resume"]
        helix.refuse(ARGUMENT, "another source, other options", *arguments)
        assert comparable(out) == unbroken[0]
        assert "out.hxq-journal" in leftovers(out)

    def test_plain_run(self, helix, source, out):
        helix.refuse(ARGUMENT, "exists already", "compress", source, out, *OPTIONS)
