"""Writes the small model folders of tests/fixtures, the same bytes every time.

    python tools/make_fixture.py [OUT_DIR]

Weights are random with some structure: rows of different scale, heavy tails, a few outliers, so
that they quantise like real ones. tiny-llama is a whole model with tokenizer and chat template;
the others are the smallest folders that show one trait of the checkpoints found in the field.
Needs numpy.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from model_folder import (
    TensorSource,
    atomic_folder,
    tensor_from_array,
    write_checkpoint,
    write_json,
    write_safetensors,
)

Shapes = dict[str, tuple[int, ...]]
WHOLE = 1 << 40  # shard size of a single file

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# Words whose spelling with a blank before them makes the merges of the tokenizer.
WORDS = ["the", "and", "of", "to", "in", "is", "it", "was", "that", "for", "he", "on", "with"]
WORDS += ["his", "they", "at", "be", "this", "have", "from"]


def make_weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """F32 weights that depend on the name and the shape alone."""
    random = np.random.default_rng(zlib.crc32(f"{name} {shape}".encode()))
    if name.endswith("bias"):
        return (0.05 * random.standard_normal(shape)).astype(np.float32)
    if name.endswith("A_log"):
        return np.log(np.broadcast_to(np.arange(1.0, shape[-1] + 1), shape)).astype(np.float32)
    if len(shape) == 1:  # norms, D
        return (1 + 0.1 * random.standard_normal(shape)).astype(np.float32)
    if any(word in name for word in ("embed", "wte", "wpe")):
        return (0.4 * random.standard_normal(shape)).astype(np.float32)
    # Strong layers, so that greedy text does not settle on the token that it has just seen.
    values = random.standard_t(5, shape) * 2 * shape[-1] ** -0.5
    values *= np.exp(0.3 * random.standard_normal((*shape[:-1], 1)))
    flat = values.reshape(-1)
    flat[random.integers(0, flat.size, max(1, flat.size // 1000))] *= 8
    return values.astype(np.float32)


@dataclass
class Fixture:
    """A model folder: config.json, tensors, and files beside them."""

    config: dict[str, Any]
    shapes: Shapes
    dtype: Callable[[str], str] = lambda _: "F32"
    change: Callable[[dict[str, np.ndarray]], None] = lambda _: None
    shard_bytes: int = WHOLE
    metadata: dict[str, str] | None = None  # of the single file; {} writes none
    files: dict[str, str] = field(default_factory=dict)
    json_files: dict[str, Any] = field(default_factory=dict)

    def tensors(self) -> list[TensorSource]:
        arrays = {name: make_weights(name, shape) for name, shape in self.shapes.items()}
        self.change(arrays)
        return [
            tensor_from_array(name, array, self.dtype(name) if array.dtype.kind == "f" else "I64")
            for name, array in arrays.items()
        ]

    def write(self, folder: Path) -> None:
        write_json(folder / "config.json", self.config)
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, value in self.json_files.items():
            write_json(folder / name, value)
        if self.shard_bytes == WHOLE:
            write_safetensors(folder / "model.safetensors", self.tensors(), self.metadata)
        else:
            write_checkpoint(folder, self.tensors(), self.shard_bytes)


# Decoders with q, k, v and a gated feed-forward: llama, qwen2


def decoder_config(hidden: int, inner: int, layers: int, vocabulary: int) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "max_position_embeddings": 256,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": vocabulary,
    }


def attention_shapes(config: dict[str, Any], prefix: str, biases: bool = False) -> Shapes:
    hidden = config["hidden_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes: Shapes = {}
    for name, rows in (("q", hidden), ("k", keys), ("v", keys)):
        shapes[f"{prefix}.self_attn.{name}_proj.weight"] = (rows, hidden)
        if biases:
            shapes[f"{prefix}.self_attn.{name}_proj.bias"] = (rows,)
    return shapes | {f"{prefix}.self_attn.o_proj.weight": (hidden, hidden)}


def decoder_shapes(config: dict[str, Any], biases: bool = False) -> Shapes:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes: Shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        shapes[f"{prefix}.input_layernorm.weight"] = (hidden,)
        shapes |= attention_shapes(config, prefix, biases)
        shapes[f"{prefix}.post_attention_layernorm.weight"] = (hidden,)
        shapes[f"{prefix}.mlp.gate_proj.weight"] = (inner, hidden)
        shapes[f"{prefix}.mlp.up_proj.weight"] = (inner, hidden)
        shapes[f"{prefix}.mlp.down_proj.weight"] = (hidden, inner)
    shapes["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (config["vocab_size"], hidden)
    return shapes


def small_decoder(**changes: Any) -> Fixture:
    config = decoder_config(hidden=32, inner=64, layers=1, vocabulary=64)
    return Fixture(config, decoder_shapes(config), **changes)


def byte_alphabet() -> list[str]:
    """The 256 characters by which byte-level BPE writes bytes, in byte order."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    spelling = {byte: chr(byte) for byte in plain}
    spelling |= {byte: chr(256 + number) for number, byte in enumerate(others)}
    return [spelling[byte] for byte in range(256)]


def make_tokenizer() -> dict[str, Any]:
    """tokenizer.json: special tokens, the bytes, and merges that spell a few common words."""
    blank = byte_alphabet()[0x20]
    vocabulary = {token: number for number, token in enumerate([*SPECIAL_TOKENS, *byte_alphabet()])}
    merges = []
    for word in WORDS:
        left = blank
        for right in word:
            if left + right not in vocabulary:
                vocabulary[left + right] = len(vocabulary)
                merges.append([left, right])
            left += right
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": number, "content": token, **flags, "special": True}
        for number, token in enumerate(SPECIAL_TOKENS)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    byte_level["use_regex"] = True
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def tiny_llama() -> Fixture:
    """A whole model: two layers, BF16, grouped heads, tied; tokenizer and chat template."""
    tokenizer = make_tokenizer()
    config = decoder_config(hidden=64, inner=176, layers=2, vocabulary=300)
    config |= {"torch_dtype": "bfloat16", "pad_token_id": 0, "head_dim": 16}
    assert len(tokenizer["model"]["vocab"]) == config["vocab_size"]
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizer_config = {
        "add_prefix_space": False,
        **names,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 256,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    return Fixture(
        config,
        decoder_shapes(config),
        dtype=lambda _: "BF16",
        json_files={
            "tokenizer.json": tokenizer,
            "tokenizer_config.json": tokenizer_config,
            "special_tokens_map.json": names,
            "generation_config.json": {"_from_model_config": True, **ids},
        },
    )


def sharded() -> Fixture:
    """Three shards, biases of q, k and v, an output head of its own."""
    config = decoder_config(hidden=32, inner=64, layers=1, vocabulary=64)
    config |= {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "tie_word_embeddings": False,
    }
    return Fixture(config, decoder_shapes(config, biases=True), shard_bytes=20_000)


def mixed_types() -> Fixture:
    """F32, F16 and BF16 side by side, no __metadata__."""

    def dtype(name: str) -> str:
        if "self_attn" in name:
            return "F16"
        return "F32" if "norm" in name or "down_proj" in name else "BF16"

    return small_decoder(dtype=dtype, metadata={})


def double_precision() -> Fixture:
    return small_decoder(dtype=lambda name: "F64" if "down_proj" in name else "F32")


def not_finite() -> Fixture:
    """One NaN and one infinity, in different matrices."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["model.layers.0.self_attn.q_proj.weight"][3, 5] = np.nan
        arrays["model.layers.0.mlp.up_proj.weight"][7, 1] = np.inf

    return small_decoder(change=change)


def integer_buffer() -> Fixture:
    """Buffers that old checkpoints carry: I64 positions, rotary frequencies."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["model.position_ids"] = np.arange(16).reshape(1, 16)
        key = "model.layers.0.self_attn.rotary_emb.inv_freq"
        arrays[key] = (10000.0 ** -(np.arange(4) / 4)).astype(np.float32)

    return small_decoder(change=change)


def tied_copy() -> Fixture:
    """Tied, and the head is in the file all the same."""

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["lm_head.weight"] = arrays["model.embed_tokens.weight"].copy()

    return small_decoder(change=change)


# Other architectures


def gpt2() -> Fixture:
    """Linear layers stored transposed, [in, out], under Conv1D's names."""
    hidden, vocabulary = 24, 64
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": hidden,
        "n_head": 4,
        "n_layer": 1,
        "n_positions": 32,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": vocabulary,
    }
    shapes: Shapes = {
        "transformer.wte.weight": (vocabulary, hidden),
        "transformer.wpe.weight": (32, hidden),
    }
    block = "transformer.h.0"
    linears = {"attn.c_attn": 3, "attn.c_proj": 1, "mlp.c_fc": 4}
    for name, factor in linears.items():
        shapes[f"{block}.{name}.weight"] = (hidden, factor * hidden)
        shapes[f"{block}.{name}.bias"] = (factor * hidden,)
    shapes |= {f"{block}.mlp.c_proj.weight": (4 * hidden, hidden)}
    shapes |= {f"{block}.mlp.c_proj.bias": (hidden,)}
    for norm in (f"{block}.ln_1", f"{block}.ln_2", "transformer.ln_f"):
        shapes |= {f"{norm}.weight": (hidden,), f"{norm}.bias": (hidden,)}
    return Fixture(config, shapes)


def mamba() -> Fixture:
    """State-space parameters: A_log and D without .weight, a 3-D convolution kernel."""
    hidden, inner, state, rank = 32, 64, 8, 4
    config = {
        "architectures": ["MambaForCausalLM"],
        "conv_kernel": 4,
        "expand": 2,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "model_type": "mamba",
        "num_hidden_layers": 1,
        "state_size": state,
        "tie_word_embeddings": True,
        "time_step_rank": rank,
        "torch_dtype": "float32",
        "use_bias": False,
        "use_conv_bias": True,
        "vocab_size": 64,
    }
    mixer = "backbone.layers.0.mixer"
    shapes: Shapes = {
        "backbone.embeddings.weight": (64, hidden),
        f"{mixer}.A_log": (inner, state),
        f"{mixer}.D": (inner,),
        f"{mixer}.conv1d.weight": (inner, 1, 4),
        f"{mixer}.conv1d.bias": (inner,),
        f"{mixer}.in_proj.weight": (2 * inner, hidden),
        f"{mixer}.x_proj.weight": (rank + 2 * state, inner),
        f"{mixer}.dt_proj.weight": (inner, rank),
        f"{mixer}.dt_proj.bias": (inner,),
        f"{mixer}.out_proj.weight": (hidden, inner),
        "backbone.layers.0.norm.weight": (hidden,),
        "backbone.norm_f.weight": (hidden,),
    }
    return Fixture(config, shapes)


def mixtral() -> Fixture:
    """A router and four experts, one matrix each."""
    config = decoder_config(hidden=32, inner=48, layers=1, vocabulary=64)
    config |= {
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "num_experts_per_tok": 2,
        "num_local_experts": 4,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    shapes = {key: shape for key, shape in decoder_shapes(config).items() if ".mlp." not in key}
    block = "model.layers.0.block_sparse_moe"
    shapes[f"{block}.gate.weight"] = (4, 32)
    for expert in range(4):
        for name, shape in (("w1", (48, 32)), ("w2", (32, 48)), ("w3", (48, 32))):
            shapes[f"{block}.experts.{expert}.{name}.weight"] = shape
    return Fixture(config, shapes, dtype=lambda _: "BF16")


def fused_experts() -> Fixture:
    """All experts of a layer in one 3-D parameter, without .weight."""
    config = decoder_config(hidden=32, inner=32, layers=1, vocabulary=64)
    config |= {
        "architectures": ["Llama4ForCausalLM"],
        "model_type": "llama4_text",
        "num_experts_per_tok": 1,
        "num_local_experts": 4,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    shapes = {key: shape for key, shape in decoder_shapes(config).items() if ".mlp." not in key}
    block = "model.layers.0.feed_forward"
    shapes |= {
        f"{block}.experts.gate_up_proj": (4, 32, 64),
        f"{block}.experts.down_proj": (4, 32, 32),
        f"{block}.router.weight": (4, 32),
        f"{block}.shared_expert.gate_proj.weight": (32, 32),
        f"{block}.shared_expert.up_proj.weight": (32, 32),
        f"{block}.shared_expert.down_proj.weight": (32, 32),
    }
    return Fixture(config, shapes, dtype=lambda _: "BF16")


def bert() -> Fixture:
    """An encoder: biases everywhere, three embedding tables, an I64 buffer."""
    hidden, inner, vocabulary = 24, 48, 64
    config = {
        "architectures": ["BertModel"],
        "hidden_act": "gelu",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 32,
        "model_type": "bert",
        "num_attention_heads": 4,
        "num_hidden_layers": 1,
        "torch_dtype": "float32",
        "type_vocab_size": 2,
        "vocab_size": vocabulary,
    }
    layer = "encoder.layer.0"
    linears = {
        **{
            f"{layer}.attention.self.{name}": (hidden, hidden) for name in ("query", "key", "value")
        },
        f"{layer}.attention.output.dense": (hidden, hidden),
        f"{layer}.intermediate.dense": (inner, hidden),
        f"{layer}.output.dense": (hidden, inner),
        "pooler.dense": (hidden, hidden),
    }
    norms = ("embeddings", f"{layer}.attention.output", f"{layer}.output")
    shapes: Shapes = {
        "embeddings.word_embeddings.weight": (vocabulary, hidden),
        "embeddings.position_embeddings.weight": (32, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
    }
    for name, shape in linears.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.LayerNorm.weight": (hidden,), f"{name}.LayerNorm.bias": (hidden,)}

    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["embeddings.position_ids"] = np.arange(32).reshape(1, 32)

    return Fixture(config, shapes, change=change)


FIXTURES: dict[str, Callable[[], Fixture]] = {
    "tiny-llama": tiny_llama,
    "qwen2-sharded-bias": sharded,
    "llama-mixed-types": mixed_types,
    "llama-float64": double_precision,
    "llama-not-finite": not_finite,
    "llama-integer-buffer": integer_buffer,
    "llama-tied-copy": tied_copy,
    "gpt2-conv1d": gpt2,
    "mamba": mamba,
    "mixtral": mixtral,
    "llama4-fused-experts": fused_experts,
    "bert": bert,
}


def main() -> None:
    here = Path(__file__).resolve().parents[1] / "tests" / "fixtures"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out_dir", type=Path, nargs="?", default=here)
    out_dir = parser.parse_args().out_dir
    for name, make in FIXTURES.items():
        with atomic_folder(out_dir / name) as folder:
            make().write(folder)


if __name__ == "__main__":
    main()
