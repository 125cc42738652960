"""Writes a model folder of random weights in the shape that a config.json describes.

    python tools/make_dummy_checkpoint.py CONFIG_JSON OUT_DIR [--dtype bf16] [--shard-size 5GB]

For measuring sizes, times and memory on the shapes of large models without their weights. Matrices
are Gaussian with variance 1 / fan-in, norms near one, biases near zero. Model types: llama, qwen2.
Memory stays below 200 MB whatever the model: numbers are drawn once and reused from other offsets.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from model_folder import (
    ITEM_BYTES,
    TensorSource,
    atomic_folder,
    bfloat16_bits,
    write_checkpoint,
    write_json,
)

TORCH_NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
CAST: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "BF16": bfloat16_bits,
    "F16": lambda values: values.astype(np.float16),
    "F32": lambda values: values,
}
BLOCK_LENGTH = 4_194_301  # a prime, so that the rows of no matrix repeat in step
SIZE_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "MIB": 1 << 20, "GIB": 1 << 30}


class Gaussian:
    """A stream of normal numbers, in pieces cut from one block at random places."""

    def __init__(self, dtype: str, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        unit = self._random.standard_normal(BLOCK_LENGTH, dtype=np.float32)

        @lru_cache(maxsize=4)
        def block(mean: float, deviation: float) -> np.ndarray:
            return CAST[dtype](np.float32(mean) + np.float32(deviation) * unit)

        self._block = block

    def chunks(self, count: int, mean: float, deviation: float) -> Iterator[np.ndarray]:
        block = self._block(mean, deviation)
        while count > 0:
            begin = int(self._random.integers(BLOCK_LENGTH // 2))
            piece = block[begin : begin + count]
            yield piece
            count -= len(piece)


def tensor_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every tensor of the model's checkpoint, in file order. Raises ValueError, KeyError."""
    kind = config.get("model_type")
    if kind not in ("llama", "qwen2"):
        raise ValueError(f"model_type {kind!r} is not supported, expected 'llama' or 'qwen2'")
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden)}
    for layer in range(config["num_hidden_layers"]):
        shapes.update(_layer_shapes(config, f"model.layers.{layer}"))
    shapes["model.norm.weight"] = (hidden,)
    if not config.get("tie_word_embeddings", False):
        shapes["lm_head.weight"] = (vocabulary, hidden)
    return shapes


def _layer_shapes(config: dict[str, Any], prefix: str) -> dict[str, tuple[int, ...]]:
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or hidden // heads
    queries = heads * head_size
    keys = config.get("num_key_value_heads", heads) * head_size
    attention_bias = config.get("attention_bias", False)
    qkv_bias = config["model_type"] == "qwen2" or attention_bias
    mlp_bias = config.get("mlp_bias", False)
    linears = {
        "self_attn.q_proj": (queries, hidden, qkv_bias),
        "self_attn.k_proj": (keys, hidden, qkv_bias),
        "self_attn.v_proj": (keys, hidden, qkv_bias),
        "self_attn.o_proj": (hidden, queries, attention_bias),
        "mlp.gate_proj": (inner, hidden, mlp_bias),
        "mlp.up_proj": (inner, hidden, mlp_bias),
        "mlp.down_proj": (hidden, inner, mlp_bias),
    }
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}.input_layernorm.weight": (hidden,)}
    for name, (rows, columns, has_bias) in linears.items():
        shapes[f"{prefix}.{name}.weight"] = (rows, columns)
        if has_bias:
            shapes[f"{prefix}.{name}.bias"] = (rows,)
    shapes[f"{prefix}.post_attention_layernorm.weight"] = (hidden,)
    return shapes


def make_tensors(config: dict[str, Any], dtype: str, seed: int) -> list[TensorSource]:
    """The tensors of `config` in `dtype` (BF16, F16, F32); the same for the same seed."""
    gaussian = Gaussian(dtype, seed)

    def source(name: str, shape: tuple[int, ...]) -> TensorSource:
        mean = 1.0 if name.endswith("norm.weight") else 0.0
        deviation = shape[-1] ** -0.5 if len(shape) == 2 else 0.1
        count = int(np.prod(shape))
        return TensorSource(name, dtype, shape, lambda: gaussian.chunks(count, mean, deviation))

    return [source(name, shape) for name, shape in tensor_shapes(config).items()]


def parse_size(text: str) -> int:
    """`2GB`, `500MiB` or a number of bytes, to bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?I?B)?", text.upper())
    unit = (match.group(2) or "") if match else None
    if match is None or unit not in SIZE_UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 5GB or 500MiB")
    return int(float(match.group(1)) * SIZE_UNITS[unit])


def make_checkpoint(
    config_path: Path, target: Path, dtype: str, shard_bytes: int, seed: int
) -> None:
    config = json.loads(config_path.read_text(encoding="utf-8"))
    tensors = make_tensors(config, dtype, seed)
    with atomic_folder(target) as folder:
        write_json(folder / "config.json", {**config, "torch_dtype": TORCH_NAMES[dtype]})
        write_checkpoint(folder, tensors, shard_bytes)
    total = sum(tensor.byte_count for tensor in tensors)
    print(f"{len(tensors)} tensors, {total} bytes of {ITEM_BYTES[dtype]}-byte weights in {target}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config_json", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--dtype", choices=["bf16", "f16", "f32"], default="bf16")
    parser.add_argument("--shard-size", type=parse_size, default=parse_size("5GB"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dtype = options.dtype.upper()
    try:
        make_checkpoint(
            options.config_json, options.out_dir, dtype, options.shard_size, options.seed
        )
    except KeyError as error:
        print(f"error: {options.config_json}: field {error} is missing", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
