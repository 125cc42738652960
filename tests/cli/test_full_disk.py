"""A disk that is really full: a small tmpfs, mounted in a namespace of its own.

Needs root, or a kernel that lets users mount in a user namespace. The mount vanishes with the
process that made it, whatever happens to the test.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helix_program import INPUT_OUTPUT, comparable, leftovers
from make_dummy_checkpoint import make_tensors
from model_folder import write_checkpoint, write_json

CONFIG = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "vocab_size": 1000,
    "tie_word_embeddings": True,
}
BIG_FILE_BYTES = 3_000_000
# Runs inside the namespace: (program, source, mount point, sizes, options) as JSON; each size in
# bytes is a run, the first plain, the others resuming after the disk was resized.
SCRIPT = """
import json, subprocess, sys
task = json.loads(sys.argv[1])
def mount(size, *options):
    options = ",".join([f"size={size}", *options])
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", task["mount"]]
    subprocess.run(command, check=True)
results = []
for number, size in enumerate(task["sizes"]):
    mount(size, *(["remount"] if number else []))
    command = [task["program"], "compress", task["source"], task["mount"] + "/out"]
    command += task["options"] + (["--resume"] if number else [])
    done = subprocess.run(command, capture_output=True, text=True)
    listing = subprocess.run(["ls", "-A", task["mount"]], capture_output=True, text=True).stdout
    results.append([done.returncode, done.stderr, listing.split()])
subprocess.run(["cp", "-r", task["mount"] + "/.", task["copy"]], check=True)
print(json.dumps(results))
"""


def namespace():
    """The command that gives a child mounts of its own."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", "--mount", "--propagation", "private", *user]


@pytest.fixture(scope="module")
def can_mount(tmp_path_factory):
    if shutil.which("unshare") is None:
        pytest.skip("no unshare, which gives the test mounts of its own")
    point = str(tmp_path_factory.mktemp("mount"))
    command = [*namespace(), "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", point]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """12 MB of weights and a large file beside them."""
    folder = tmp_path_factory.mktemp("source") / "model"
    folder.mkdir()
    write_json(folder / "config.json", CONFIG)
    write_checkpoint(folder, make_tensors(CONFIG, "BF16", seed=2), 1 << 40)
    (folder / "tokenizer.json").write_bytes(b" " * BIG_FILE_BYTES)
    return folder


@pytest.fixture(scope="module")
def unbroken(helix, source, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken") / "out"
    helix.succeed("compress", source, out)
    return out


def run(helix, source, tmp_path, sizes, *options):
    """[status, standard error, names on the disk] of each run; the disk's content at the end."""
    (tmp_path / "mount").mkdir()
    (tmp_path / "copy").mkdir()
    task = {
        "program": str(helix.path),
        "source": str(source),
        "mount": str(tmp_path / "mount"),
        "copy": str(tmp_path / "copy"),
        "sizes": sizes,
        "options": ["--quiet", "--threads", "2", *options],
    }
    command = [*namespace(), sys.executable, "-c", SCRIPT, json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "mount").iterdir()) == []  # nothing is mounted out here
    return json.loads(done.stdout), tmp_path / "copy" / "out"


def weight_bytes(folder):
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def check(results, out, unbroken):
    *failed, (status, errors, names) = results
    for status_then, errors_then, names_then in failed:
        assert status_then == INPUT_OUTPUT, errors_then
        assert "No space left on device" in errors_then
        assert "/mount/out" in errors_then  # the message names the file
        assert "out" not in names_then
        assert len(errors_then.splitlines()) == 1
    assert (status, errors, names) == (0, "", ["out"])
    assert comparable(out) == comparable(unbroken)
    assert leftovers(out) == []


@pytest.mark.usefixtures("can_mount")
class TestFullDisk:
    @pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
    def test_while_weights_are_written(self, helix, source, unbroken, tmp_path, share):
        sizes = [int(share * weight_bytes(unbroken)), 1 << 26]
        check(*run(helix, source, tmp_path, sizes), unbroken)

    def test_while_shards_are_written(self, helix, source, tmp_path):
        whole = tmp_path / "whole"
        options = ["--shard-size", "1MB"]
        helix.succeed("compress", source, whole, *options)
        sizes = [weight_bytes(whole) // 2, 1 << 26]
        check(*run(helix, source, tmp_path, sizes, *options), whole)

    def test_after_the_weights(self, helix, source, unbroken, tmp_path):
        """Room for the weights and the journal, not for the file beside them."""
        size = weight_bytes(unbroken) + BIG_FILE_BYTES // 2
        check(*run(helix, source, tmp_path, [size, 1 << 26]), unbroken)

    def test_again_and_again(self, helix, source, unbroken, tmp_path):
        weights = weight_bytes(unbroken)
        sizes = [weights // 4, weights // 2, weights, weights + BIG_FILE_BYTES // 2, 1 << 26]
        check(*run(helix, source, tmp_path, sizes), unbroken)

    def test_enough_room_at_once(self, helix, source, unbroken, tmp_path):
        check(*run(helix, source, tmp_path, [1 << 26]), unbroken)


def test_nothing_stays_mounted():
    mounts = Path("/proc/self/mounts").read_text()
    assert "test_full_disk" not in mounts
