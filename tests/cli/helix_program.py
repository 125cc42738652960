"""Runs the program and looks at model folders with nothing of the program's own code."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np

from helix_substrate.reference_safetensors import as_floats, read_tensors
from model_folder import tensor_from_array, write_safetensors

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURES = REPOSITORY / "tests" / "fixtures"
MODELS = sorted(path.parent.name for path in FIXTURES.glob("*/config.json"))
TEST_DATA = Path(os.environ.get("HELIX_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

# The one table of exit statuses.
SUCCESS, ARGUMENT, NOT_FOUND, CORRUPT, UNSUPPORTED, INPUT_OUTPUT = 0, 2, 3, 4, 5, 6
STOPPED = 130
HASH, CONTENT, MISSING, KEY_COUNT, METRICS = 21, 22, 23, 24, 25


class Helix:
    """The program; every call has a time limit, so that a hang is a failure."""

    def __init__(self, path):
        self.path = path

    def __call__(self, *arguments, **options):
        return subprocess.run(
            [self.path, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )

    def start(self, *arguments):
        return subprocess.Popen(
            [self.path, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def succeed(self, *arguments, **options):
        """Standard output of a run that must succeed."""
        done = self(*arguments, **options)
        assert done.returncode == SUCCESS, done.stderr
        return done.stdout

    def refuse(self, status, part, *arguments, **options):
        """Runs what must fail with `status` and one line that holds `part`; returns that line."""
        done = self(*arguments, **options)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        assert done.stdout == ""
        message = done.stderr.splitlines()[-1] if done.stderr else ""
        assert message.startswith("helix: "), done.stderr
        assert part in message, done.stderr
        return message

    def commands(self):
        """The names of all commands, from the help of the program."""
        listed = self.succeed("--help").split("\nSubcommands:\n")[1]
        return re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE)

    def plan(self, source, *options):
        """Tensor name to its plan row."""
        rows = json.loads(self.succeed("compress", "--dry-run", "--json", source, *options))["plan"]
        return {row["name"]: row for row in rows}


def actions(plan):
    return {name: row["action"] for name, row in plan.items()}


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def receipt_of(folder):
    return read_json(folder / "hxq_receipt.json")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_below(folder):
    """Relative path to bytes, of every file."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def comparable(folder):
    """files_below, the receipt without the section that differs from run to run."""
    files = files_below(folder)
    receipt = json.loads(files.pop("hxq_receipt.json"))
    del receipt["run"]
    return files | {"hxq_receipt.json": receipt}


def leftovers(destination):
    """What lies beside `destination` under names derived from it."""
    return sorted(
        path.name
        for path in destination.parent.iterdir()
        if destination.name in path.name and path != destination
    )


def write_model(folder, arrays, config=None):
    """A dense folder of numpy arrays (F16, F32, F64, integers; ("BF16", array) for BF16)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or {"model_type": "none"}))
    sources = []
    for name, array in arrays.items():
        kind, values = array if isinstance(array, tuple) else (dtype_of(array), array)
        sources.append(tensor_from_array(name, values, kind))
    write_safetensors(folder / "model.safetensors", sources)
    return folder


def dtype_of(array):
    return {"f": "F", "i": "I", "u": "U"}[array.dtype.kind] + str(8 * array.dtype.itemsize)


def random_matrix(rows, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def dense_arrays(folder):
    """Every tensor of a dense folder, floats as F32."""
    return {name: as_floats(tensor) for name, tensor in read_tensors(folder).items()}


def rewrite(folder, change):
    """Reads the folder's single weight file as raw tensors, changes the dict, writes it back."""
    import safetensors.numpy as st

    path = folder / "model.safetensors"
    tensors = st.load_file(path)
    change(tensors)
    st.save_file(tensors, path, metadata={"format": "pt"})
