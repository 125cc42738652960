"""The manual page and the completions say what the program takes."""

import re
import shutil
import subprocess

import pytest


def options_of(helix, command):
    """Long and short options that --help lists."""
    text = helix.succeed(command, "--help")
    return {
        name
        for line in text.splitlines()
        if re.match(r"  -", line)
        for name in re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", line[:32].split("  ")[1])
    }


def pieces(text, start):
    """The text from the line that `start` matches to the next heading."""
    return re.split(r"^\.SH ", text, flags=re.MULTILINE)[1:] and next(
        part for part in re.split(r"^\.SH ", text, flags=re.MULTILINE) if part.startswith(start)
    )


def test_help_is_parsed(helix):
    assert {"--k", "--resume", "--force", "-q", "--quiet", "-h", "--help"} <= options_of(
        helix, "compress"
    )


class TestManual:
    def test_every_option_of_every_command(self, helix):
        page = helix.succeed("man")
        for command in helix.commands():
            section = pieces(page, f"helix {command}").replace("\\-", "-")
            for option in options_of(helix, command):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", section), f"{command} {option}"
            assert f"helix {command}" in section.split("Example:")[1]

    def test_defaults(self, helix):
        assert "(default 5GB)" in pieces(helix.succeed("man"), "helix compress")

    def test_every_exit_status(self, helix):
        section = pieces(helix.succeed("man"), "EXIT STATUS")
        for status in (0, 1, 2, 3, 4, 5, 6, 7, 8, 130):
            assert re.search(rf"^{status}\s", section, re.MULTILINE)
        assert "21\\-25" in section

    def test_renders_without_warnings(self, helix):
        if shutil.which("groff") is None:
            pytest.skip("no groff")
        command = ["groff", "-man", "-Tutf8", "-ww", "-rHY=0"]
        page = helix.succeed("man")
        done = subprocess.run(command, input=page, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
        for word in ("helix compress", "--column-scales", "*k_proj=4096", "EXIT STATUS"):
            assert word in text

    def test_program_man(self, helix, tmp_path):
        if shutil.which("man") is None:
            pytest.skip("no man")
        page = tmp_path / "helix.1"
        page.write_text(helix.succeed("man"))
        command = ["man", "--warnings=w", "-l", str(page)]
        done = subprocess.run(command, capture_output=True, text=True)
        if "not been installed" in done.stdout + done.stderr or done.returncode == 127:
            pytest.skip("man does nothing on this system")
        assert (done.returncode, done.stderr) == (0, "")


class TestCompletions:
    def complete(self, helix, words):
        """What bash offers for the last of `words`."""
        script = helix.succeed("completion", "bash") + (
            f"COMP_WORDS=({' '.join(map(repr, words))})\nCOMP_CWORD={len(words) - 1}\n"
            '_helix\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        command = ["bash", "--norc", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return set(done.stdout.split())

    def test_bash_syntax(self, helix, tmp_path):
        script = tmp_path / "helix.bash"
        script.write_text(helix.succeed("completion", "bash"))
        done = subprocess.run(["bash", "-n", script], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_bash_offers(self, helix):
        assert self.complete(helix, ["helix", ""]) == {*helix.commands(), "--help", "--version"}
        assert self.complete(helix, ["helix", "de"]) == {"decompress"}
        for command in helix.commands():
            offered = self.complete(helix, ["helix", command, "-"])
            assert options_of(helix, command) <= offered
        assert self.complete(helix, ["helix", "compress", "--re"]) == {"--resume"}

    def test_bash_offers_names_with_spaces(self, helix, tmp_path, monkeypatch):
        (tmp_path / "my model").mkdir()
        monkeypatch.chdir(tmp_path)
        script = helix.succeed("completion", "bash") + (
            "COMP_WORDS=(helix inspect my)\nCOMP_CWORD=2\n"
            '_helix\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("my model\n", "")

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_other_shells(self, helix, tmp_path, shell):
        script = tmp_path / f"helix.{shell}"
        script.write_text(helix.succeed("completion", shell))
        for command in helix.commands():
            for option in options_of(helix, command):
                kind = "-l" if option.startswith("--") else "-s"
                wanted = option if shell == "zsh" else f" {kind} {option.lstrip('-')} "
                assert wanted in script.read_text(), f"{command} {option}"
        if shutil.which(shell) is not None:
            done = subprocess.run([shell, "-n", script], capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
