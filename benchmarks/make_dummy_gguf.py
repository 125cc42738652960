"""Writes a GGUF file of random Q8_0 weights in the shape of a Llama config.json, for llama-bench.

    python benchmarks/make_dummy_gguf.py CONFIG_JSON OUT_GGUF

Every matrix is Q8_0, embedding and output head too; norms are ones. The vocabulary is made-up bytes
and words, so the file answers nothing: it is for timing beside `helix bench --dummy CONFIG_JSON`.
Needs the packages gguf and numpy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np

BLOCK = 32  # weights that share a scale
BLOCK_BYTES = 34  # a half float and 32 signed bytes


def random_q8_0(rows: int, columns: int, generator: np.random.Generator) -> np.ndarray:
    """Blocks (rows, bytes) with a scale for which the weights have variance 1 / columns."""
    blocks = generator.integers(0, 256, (rows * columns // BLOCK, BLOCK_BYTES), dtype=np.uint8)
    deviation = np.sqrt((256**2 - 1) / 12)
    scale = np.float16(1 / (deviation * np.sqrt(columns)))
    blocks[:, :2] = np.frombuffer(scale.tobytes(), np.uint8)
    return blocks.reshape(rows, columns // BLOCK * BLOCK_BYTES)


def matrices(config: dict[str, Any]) -> dict[str, tuple[int, int]]:
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {
        "token_embd": (config["vocab_size"], hidden),
        "output": (config["vocab_size"], hidden),
    }
    for layer in range(config["num_hidden_layers"]):
        shapes |= {
            f"blk.{layer}.attn_q": (hidden, hidden),
            f"blk.{layer}.attn_k": (keys, hidden),
            f"blk.{layer}.attn_v": (keys, hidden),
            f"blk.{layer}.attn_output": (hidden, hidden),
            f"blk.{layer}.ffn_gate": (wide, hidden),
            f"blk.{layer}.ffn_up": (wide, hidden),
            f"blk.{layer}.ffn_down": (hidden, wide),
        }
    return shapes


def norms(config: dict[str, Any]) -> list[str]:
    names = ["output_norm"]
    for layer in range(config["num_hidden_layers"]):
        names += [f"blk.{layer}.attn_norm", f"blk.{layer}.ffn_norm"]
    return names


def add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    special = ["<unk>", "<s>", "</s>"]
    tokens = special + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [f"w{number}" for number in range(size - len(tokens))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256
    kinds += [gguf.TokenType.NORMAL] * (size - len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(rank) for rank in range(size)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def add_shape(writer: gguf.GGUFWriter, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)


def main() -> int:
    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    generator = np.random.default_rng(0)
    writer = gguf.GGUFWriter(sys.argv[2], "llama")
    add_shape(writer, config)
    add_vocabulary(writer, config["vocab_size"])
    for name, (rows, columns) in matrices(config).items():
        blocks = random_q8_0(rows, columns, generator)
        writer.add_tensor(f"{name}.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    for name in norms(config):
        writer.add_tensor(f"{name}.weight", np.ones(config["hidden_size"], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
