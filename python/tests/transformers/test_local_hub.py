"""push_to_hub and from_pretrained by name, against a hub of one process."""

import os
import subprocess
import sys

import pytest
from local_hub import LocalHub

pytest.importorskip("huggingface_hub")

# In a process of its own: huggingface_hub reads its endpoint when it is imported.
CODE = """
import sys
import torch
import transformers
import helix_substrate
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
model.push_to_hub("me/small-hxq", token="hf_test")
again = AutoModelForCausalLM.from_pretrained("me/small-hxq")
tensors, others = model.state_dict(), again.state_dict()
assert tensors.keys() == others.keys()
for key, tensor in tensors.items():
    assert torch.equal(tensor, others[key]), key
print(len(again.config.quantization_config.compressed_modules))
"""


@pytest.fixture
def hub():
    server = LocalHub()
    yield server
    server.shutdown()
    server.server_close()


def test_pushed_and_loaded_by_name(hub, compressed, tmp_path):
    environment = {
        **os.environ,
        **{"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"},
        **{"PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_DISABLE_TELEMETRY": "1"},
        **{"no_proxy": "127.0.0.1", "HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0"},
    }
    command = [sys.executable, "-c", CODE, str(compressed("qwen2"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + "\n".join(hub.calls)
    assert done.stdout.strip() == "14"
    files = hub.files["me/small-hxq"]
    assert {"config.json", "model.safetensors"} <= files.keys()
    assert files["model.safetensors"] == (compressed("qwen2") / "model.safetensors").read_bytes()
