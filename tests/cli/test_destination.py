"""Where the output may go, and what happens to what is there."""

import os
import shutil

import pytest

from helix_program import (
    ARGUMENT,
    FIXTURES,
    INPUT_OUTPUT,
    NOT_FOUND,
    comparable,
    files_below,
    leftovers,
    random_matrix,
    receipt_of,
    write_model,
)

SOURCE = FIXTURES / "tiny-llama"


class TestExisting:
    def test_is_never_overwritten(self, helix, compressed, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / "mine.txt").write_text("mine")
        for command in (["compress", SOURCE], ["decompress", compressed("tiny-llama")]):
            for option in ([], ["--force"]):
                helix.refuse(ARGUMENT, "no model folder", *command, out, *option)
            assert files_below(out) == {"mine.txt": b"mine"}
            assert leftovers(out) == []
        (out / "config.json").write_text("{}")
        assert "--force" in helix.refuse(ARGUMENT, "exists already", "compress", SOURCE, out)

    def test_is_replaced_as_a_whole_with_force(self, helix, compressed, tmp_path):
        out = tmp_path / "out"
        out.mkdir()
        (out / "config.json").write_text("{}")
        (out / "mine.txt").write_text("mine")
        helix.succeed("compress", SOURCE, out, "--force")
        assert comparable(out) == comparable(compressed("tiny-llama"))
        helix.succeed("decompress", compressed("bert"), out, "--force")
        assert not (out / "hxq_receipt.json").exists()
        assert leftovers(out) == []

    def test_a_file_counts_too(self, helix, tmp_path):
        out = tmp_path / "out"
        out.write_text("mine")
        for option in ([], ["--force"]):
            helix.refuse(ARGUMENT, "exists already", "compress", SOURCE, out, *option)
        assert out.read_text() == "mine"
        assert leftovers(out) == []

    def test_a_dangling_link_counts_too(self, helix, tmp_path):
        out = tmp_path / "out"
        out.symlink_to(tmp_path / "nowhere")
        helix.refuse(ARGUMENT, "exists already", "compress", SOURCE, out)

    def test_force_replaces_a_link_not_what_it_points_to(self, helix, tmp_path):
        kept = tmp_path / "kept"
        kept.mkdir()
        (kept / "mine.txt").write_text("mine")
        out = tmp_path / "out"
        out.symlink_to(kept)
        helix.succeed("compress", SOURCE, out, "--force")
        assert not out.is_symlink()
        assert files_below(kept) == {"mine.txt": b"mine"}
        assert leftovers(out) == []

    def test_an_empty_folder_is_no_output(self, helix, tmp_path):
        (tmp_path / "out").mkdir()
        helix.succeed("compress", SOURCE, tmp_path / "out")

    def test_a_failed_force_leaves_the_old_output(self, helix, compressed, tmp_path):
        out = shutil.copytree(compressed("bert"), tmp_path / "out")
        before = files_below(out)
        bad = write_model(tmp_path / "bad", {"up.weight": random_matrix(64, 64) * float("nan")})
        for arguments in (
            [bad, out, "--strict"],
            [tmp_path / "absent", out],
            [SOURCE, out, "--exclude", "nothing"],
        ):
            assert helix("compress", *arguments, "--force").returncode != 0
            assert files_below(out) == before
            assert leftovers(out) == []


class TestOverlap:
    """Source and destination may not overlap, whatever they are called."""

    @pytest.fixture
    def places(self, tmp_path, model):
        (tmp_path / "link").symlink_to(model)
        (tmp_path / "parent-link").symlink_to(tmp_path)
        return tmp_path

    @pytest.mark.parametrize(
        ("source", "destination"),
        [
            ("model", "model"),
            ("model", "model/"),
            ("model/", "model"),
            ("model", "./model/."),
            ("model", "other/../model"),
            ("model", "model/out"),
            ("model", "model/deep/out/"),
            ("model", "."),
            ("model", "link"),
            ("link", "model"),
            ("link/", "model/out"),
            ("model", "link/out"),
            ("model", "parent-link/model"),
            ("parent-link/model", "model/out"),
        ],
    )
    @pytest.mark.parametrize("option", [[], ["--force"]])
    def test_is_refused(self, helix, places, source, destination, option):
        before = files_below(places)
        (places / "other").mkdir()
        for command in ("compress", "decompress"):
            fixed = [command, source, destination, *option]
            done = helix(*fixed, cwd=places)
            if command == "compress":
                assert "overlap" in done.stderr
            assert done.returncode == ARGUMENT
            assert files_below(places) == before

    def test_the_work_folder_of_another_destination(self, helix, model, tmp_path):
        source = model.rename(tmp_path / "out.hxq-partial")
        (tmp_path / "out.hxq-journal").touch()
        helix.refuse(ARGUMENT, "overlap", "compress", source, tmp_path / "out", "--force")
        assert (source / "config.json").is_file()

    def test_a_name_that_only_begins_alike(self, helix, model, tmp_path):
        helix.succeed("compress", model, tmp_path / "model-hxq")
        assert (tmp_path / "model-hxq/config.json").is_file()


class TestPlaces:
    @pytest.mark.parametrize("destination", ["out", "out/", "./out", "new/deep/out", "a/../out"])
    def test_any_way_to_write_it(self, helix, tmp_path, destination):
        (tmp_path / "a").mkdir()
        helix.succeed("compress", SOURCE, destination, cwd=tmp_path)
        assert (tmp_path / destination / "hxq_receipt.json").is_file()

    def test_source_with_a_trailing_slash_has_the_same_name(self, helix, tmp_path):
        for number, source in enumerate((str(SOURCE), f"{SOURCE}/", f"{SOURCE}/.")):
            helix.succeed("compress", source, tmp_path / str(number))
            assert receipt_of(tmp_path / str(number))["source"]["name"] == "tiny-llama"

    def test_names_with_blanks_and_other_scripts(self, helix, tmp_path):
        source = shutil.copytree(SOURCE, tmp_path / "ein Modell 模型")
        out = tmp_path / "out put ü"
        helix.succeed("compress", source, out)
        helix.succeed("verify", out, "--against", source)

    def test_source_is_a_file(self, helix, tmp_path):
        weights = SOURCE / "model.safetensors"
        assert helix("compress", weights, tmp_path / "out").returncode in (
            NOT_FOUND,
            INPUT_OUTPUT,
        )
        assert list(tmp_path.iterdir()) == []

    def test_parent_cannot_be_written(self, helix, tmp_path):
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        tmp_path.chmod(0o500)
        try:
            helix.refuse(INPUT_OUTPUT, "denied", "compress", SOURCE, tmp_path / "out")
        finally:
            tmp_path.chmod(0o700)


def test_a_folder_in_the_way_of_the_work_folder(helix, tmp_path):
    mine = tmp_path / "out.hxq-partial"
    mine.mkdir()
    (mine / "mine.txt").write_text("mine")
    for option in ([], ["--force"], ["--resume"]):
        helix.refuse(ARGUMENT, "in the way", "compress", SOURCE, tmp_path / "out", *option)
        assert files_below(mine) == {"mine.txt": b"mine"}
        assert leftovers(tmp_path / "out") == ["out.hxq-partial"]
