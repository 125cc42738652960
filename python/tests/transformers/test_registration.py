"""`import helix_substrate` makes transformers know the format, at no cost, any number of times."""

import os
import subprocess
import sys

import pytest
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING

import helix_substrate.transformers
from helix_substrate.transformers import HxqConfig, HxqQuantizer


def run_python(code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("method", ["hxq", "cdna_v3", "helix"])
def test_all_names_are_registered(method):
    assert AUTO_QUANTIZATION_CONFIG_MAPPING[method] is HxqConfig
    assert AUTO_QUANTIZER_MAPPING[method] is HxqQuantizer


def test_registering_again_changes_nothing():
    known = dict(AUTO_QUANTIZER_MAPPING)
    helix_substrate.transformers.register()
    assert known == AUTO_QUANTIZER_MAPPING


def test_importing_imports_neither_torch_nor_transformers():
    done = run_python(
        "import sys, helix_substrate; assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "imports",
    [
        "import helix_substrate; from transformers import AutoModelForCausalLM",
        "from transformers import AutoModelForCausalLM; import helix_substrate",
        "import helix_substrate; import transformers.quantizers.auto",
    ],
)
def test_any_order_of_imports_registers(imports):
    check = "from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING as table"
    done = run_python(f"{imports}\n{check}\nassert 'hxq' in table and 'helix' in table")
    assert done.returncode == 0, done.stderr
