"""Makes the small model folders of tests/parity and dumps what PyTorch computes with them.

    python tools/dump_logits.py OUT_DIR [CASE ...]
    python tools/dump_logits.py --folder MODEL_DIR --tokens 1,2,3 OUT.safetensors

The first form writes a random twin of TinyLlama or Qwen2.5, a few kilobytes each, for every trait
that changes the arithmetic: OUT_DIR/CASE/{config.json, model.safetensors, expected.safetensors}.
The second form dumps the logits of any folder. `expected.safetensors` holds `input_ids` (I64) and
`logits` (F32, tokens by vocabulary), computed by transformers in F32 from the folder as written,
without a cache; `cached_logits` are of the same tokens read as a prompt of 12 and then one by one
with a cache, where that is something else: frequencies of a dynamic RoPE grow with the text, and
keys in the cache keep those that they were turned by. Needs torch, transformers and safetensors.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

TOKENS = 32
PROMPT = 12
LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "bfloat16",
}
QWEN2: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 72,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "hidden_act": "silu",
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "use_sliding_window": False,
    "max_window_layers": 2,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "bfloat16",
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
CASES: dict[str, dict[str, Any]] = {
    "llama-gqa": LLAMA | {"torch_dtype": "float32"},
    "llama-tied-head-dim": LLAMA | {"tie_word_embeddings": True, "head_dim": 16},
    "llama-biases": LLAMA | {"attention_bias": True, "mlp_bias": True, "torch_dtype": "float16"},
    "llama-rope-linear": LLAMA | {"rope_scaling": {"type": "linear", "factor": 2.5}},
    "llama-rope-dynamic": LLAMA
    | {"max_position_embeddings": 16, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    "llama-rope-yarn": LLAMA | {"rope_scaling": YARN},
    "llama-rope-llama3": LLAMA
    | {"rope_parameters": LLAMA3 | {"rope_theta": 500000.0}, "rope_theta": None, "head_dim": 16},
    "qwen2-tied": QWEN2,
    "qwen2-untied-yarn": QWEN2
    | {"tie_word_embeddings": False, "rope_scaling": YARN | {"type": "yarn", "truncate": False}},
    "qwen2-sliding-window": QWEN2
    | {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1},
}


def random_weights(config: dict[str, Any], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Weights under which activations stay near one, so that every part shows in the logits."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries = config["num_attention_heads"] * head
    keys = config["num_key_value_heads"] * head

    def normal(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * scale

    weights: dict[str, torch.Tensor] = {}

    def linear(name: str, rows: int, columns: int, bias: bool) -> None:
        weights[f"{name}.weight"] = normal(rows, columns, scale=1.3 * columns**-0.5)
        if bias:
            weights[f"{name}.bias"] = normal(rows, scale=0.4)

    is_qwen2 = config["model_type"] == "qwen2"
    attention_bias = config.get("attention_bias", False)
    mlp_bias = config.get("mlp_bias", False)
    weights["model.embed_tokens.weight"] = normal(config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        weights[f"{name}.input_layernorm.weight"] = 1 + normal(hidden, scale=0.2)
        weights[f"{name}.post_attention_layernorm.weight"] = 1 + normal(hidden, scale=0.2)
        linear(f"{name}.self_attn.q_proj", queries, hidden, attention_bias or is_qwen2)
        linear(f"{name}.self_attn.k_proj", keys, hidden, attention_bias or is_qwen2)
        linear(f"{name}.self_attn.v_proj", keys, hidden, attention_bias or is_qwen2)
        linear(f"{name}.self_attn.o_proj", hidden, queries, attention_bias)
        linear(f"{name}.mlp.gate_proj", inner, hidden, mlp_bias)
        linear(f"{name}.mlp.up_proj", inner, hidden, mlp_bias)
        linear(f"{name}.mlp.down_proj", hidden, inner, mlp_bias)
    weights["model.norm.weight"] = 1 + normal(hidden, scale=0.2)
    if not config["tie_word_embeddings"]:
        linear("lm_head", config["vocab_size"], hidden, bias=False)
    return weights


def dump(folder: Path, tokens: list[int], out: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    model.eval()
    input_ids = torch.tensor([tokens])
    with torch.no_grad():
        logits = model(input_ids, use_cache=False).logits[0]
    tensors = {"input_ids": input_ids[0], "logits": logits.float().contiguous()}
    if model.config.rope_parameters["rope_type"] == "dynamic":
        tensors["cached_logits"] = cached_logits(folder, input_ids)
    write(tensors, out)


def cached_logits(folder: Path, input_ids: torch.Tensor) -> torch.Tensor:
    """Of a fresh model: frequencies that grew with one text stay for a later, shorter one."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    model.eval()
    cache, rows = None, []
    pieces = input_ids.split([PROMPT] + [1] * (input_ids.shape[1] - PROMPT), dim=1)
    with torch.no_grad():
        for piece in pieces:
            result = model(piece, past_key_values=cache, use_cache=True)
            cache = result.past_key_values
            rows.append(result.logits[0])
    return torch.cat(rows).float().contiguous()


def write(tensors: dict[str, torch.Tensor], out: Path) -> None:
    save_file(tensors, out, metadata={"format": "pt"})
    out.chmod(0o644)


def make_case(name: str, config: dict[str, Any], out: Path) -> None:
    generator = torch.Generator().manual_seed(sum(name.encode()))
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    dtype = getattr(torch, config["torch_dtype"])
    weights = {key: value.to(dtype) for key, value in random_weights(config, generator).items()}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write(weights, folder / "model.safetensors")
    tokens = torch.randint(config["vocab_size"], (TOKENS,), generator=generator).tolist()
    dump(folder, tokens, folder / "expected.safetensors")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the cases, or the file to write")
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all where none is named")
    parser.add_argument("--folder", type=Path, help="dump this model instead")
    parser.add_argument("--tokens", help="ids, separated by commas, for --folder")
    options = parser.parse_args(arguments)
    if options.folder is not None:
        if not options.tokens:
            parser.error("--folder needs --tokens")
        dump(options.folder, [int(token) for token in options.tokens.split(",")], options.out)
        return 0
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"unknown case {unknown[0]}")
    for name in options.cases or CASES:
        make_case(name, CASES[name], options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
