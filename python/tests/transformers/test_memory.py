"""Loading holds the codes and no dense copy; compressing holds one dense tensor at a time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import helix_substrate

BENCH = Path(__file__).resolve().parents[3] / "benchmarks" / "transformers_bench.py"
SLACK = 48 << 20  # allocators, threads, file headers
SIZES = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 6, "vocab_size": 512}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A dense model of 170 MB in F32, and the same compressed."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("memory is read from /proc")
    root = tmp_path_factory.mktemp("memory")
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(root / "dense")
    helix_substrate.compress(root / "dense", root / "compressed", progress=False)
    return root


def measure(command, folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, BENCH, command, folder]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_loading_makes_no_dense_copy(folders):
    found = measure("load", folders / "compressed")
    assert found["compressed_modules"] == 42
    assert found["peak_private_bytes"] <= found["file_bytes"] + SLACK


def test_compressing_holds_one_dense_tensor_at_a_time(folders):
    found = measure("compress", folders / "dense")
    codes = sum(file.stat().st_size for file in (folders / "compressed").glob("*.safetensors"))
    largest = 4 * SIZES["hidden_size"] * SIZES["intermediate_size"]
    assert found["compressed_modules"] == 42
    # the tensor as it was read, once more as F32 or turned, and the codec's histogram
    assert found["peak_private_bytes"] <= codes + 3 * largest + SLACK < found["file_bytes"]
