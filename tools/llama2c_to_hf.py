"""Turns a llama2.c model and its tokenizer into a Hugging Face Llama folder in F32.

    python tools/llama2c_to_hf.py MODEL.bin TOKENIZER.bin OUT_DIR

MODEL.bin is in llama2.c's first format ("version 0"): seven I32 (dim, hidden_dim, layers, heads,
key/value heads, vocabulary size, sequence length), then F32 weights, each kind for all layers in
turn. A negative vocabulary size says that an output head of its own follows at the end. Two tables
of rotary factors lie before that head; they are recomputed by every reader and dropped here.

TOKENIZER.bin: I32 longest piece in bytes, then for every piece F32 score, I32 length, bytes. It is
SentencePiece BPE with byte fallback: ids 0, 1, 2 are <unk>, <s>, </s>, then come the 256 bytes.
Needs numpy and tokenizers.
"""

from __future__ import annotations

import argparse
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from gguf_to_hf import ConversionError, unpermute_rotary_rows
from model_folder import (
    TensorSource,
    atomic_folder,
    tensor_from_array,
    write_json,
    write_safetensors,
)

HEADER = struct.Struct("<7i")
SPECIAL_PIECES = ("<unk>", "<s>", "</s>")
FIRST_PLAIN_PIECE = len(SPECIAL_PIECES) + 256
BLANK = "\u2581"  # SentencePiece writes a space as this


@dataclass(frozen=True)
class Header:
    """The sizes of a model, as its file states them."""

    dim: int
    hidden_dim: int
    layers: int
    heads: int
    kv_heads: int
    vocab_size: int
    seq_len: int
    tied: bool

    @property
    def head_size(self) -> int:
        return self.dim // self.heads


def read_header(content: bytes, name: str) -> Header:
    """Raises ConversionError where the first bytes of `content` are not the sizes of a model."""
    if len(content) < HEADER.size:
        raise ConversionError(f"{name}: {len(content)} bytes, too short for a llama2.c model")
    dim, hidden_dim, layers, heads, kv_heads, vocabulary, seq_len = HEADER.unpack_from(content)
    header = Header(
        dim, hidden_dim, layers, heads, kv_heads, abs(vocabulary), seq_len, vocabulary > 0
    )
    sizes = (dim, hidden_dim, layers, heads, kv_heads, abs(vocabulary), seq_len)
    if min(sizes) <= 0 or dim % heads or heads % kv_heads or header.head_size % 2:
        raise ConversionError(f"{name}: not a llama2.c model of version 0 (sizes {sizes})")
    return header


def weight_shapes(header: Header) -> dict[str, tuple[int, ...]]:
    """The arrays of the file in its order, by llama2.c's names."""
    dim, layers = header.dim, header.layers
    keys = header.kv_heads * header.head_size
    rotary = (header.seq_len, header.head_size // 2)
    shapes: dict[str, tuple[int, ...]] = {
        "embedding": (header.vocab_size, dim),
        "attention_norm": (layers, dim),
        "wq": (layers, dim, dim),
        "wk": (layers, keys, dim),
        "wv": (layers, keys, dim),
        "wo": (layers, dim, dim),
        "ffn_norm": (layers, dim),
        "w1": (layers, header.hidden_dim, dim),
        "w2": (layers, dim, header.hidden_dim),
        "w3": (layers, header.hidden_dim, dim),
        "norm": (dim,),
        "rotary_cos": rotary,
        "rotary_sin": rotary,
    }
    return shapes if header.tied else {**shapes, "head": (header.vocab_size, dim)}


def read_weights(content: bytes, header: Header, name: str) -> dict[str, np.ndarray]:
    shapes = weight_shapes(header)
    counts = [int(np.prod(shape)) for shape in shapes.values()]
    expected = HEADER.size + 4 * sum(counts)
    if len(content) != expected:
        raise ConversionError(f"{name}: {len(content)} bytes, its header calls for {expected}")
    values = np.frombuffer(content, "<f4", offset=HEADER.size)
    pieces = np.split(values, np.cumsum(counts)[:-1])
    return {
        key: piece.reshape(shape)
        for (key, shape), piece in zip(shapes.items(), pieces, strict=True)
    }


def make_tensors(header: Header, weights: dict[str, np.ndarray]) -> list[TensorSource]:
    """The tensors by their Hugging Face names; rows of q and k in halves instead of pairs."""
    arrays = {"model.embed_tokens.weight": weights["embedding"]}
    for layer in range(header.layers):
        by_layer = {
            "input_layernorm": weights["attention_norm"][layer],
            "self_attn.q_proj": unpermute_rotary_rows(weights["wq"][layer], header.heads),
            "self_attn.k_proj": unpermute_rotary_rows(weights["wk"][layer], header.kv_heads),
            "self_attn.v_proj": weights["wv"][layer],
            "self_attn.o_proj": weights["wo"][layer],
            "post_attention_layernorm": weights["ffn_norm"][layer],
            "mlp.gate_proj": weights["w1"][layer],
            "mlp.up_proj": weights["w3"][layer],
            "mlp.down_proj": weights["w2"][layer],
        }
        arrays |= {f"model.layers.{layer}.{key}.weight": array for key, array in by_layer.items()}
    arrays["model.norm.weight"] = weights["norm"]
    if not header.tied:
        arrays["lm_head.weight"] = weights["head"]
    return [tensor_from_array(name, array, "F32") for name, array in arrays.items()]


def make_config(header: Header) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": header.head_size,
        "hidden_act": "silu",
        "hidden_size": header.dim,
        "intermediate_size": header.hidden_dim,
        "max_position_embeddings": header.seq_len,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": header.heads,
        "num_hidden_layers": header.layers,
        "num_key_value_heads": header.kv_heads,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "tie_word_embeddings": header.tied,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": header.vocab_size,
    }


def read_pieces(content: bytes, count: int, name: str) -> list[tuple[str, float]]:
    """The `count` pieces with their scores, special ones under their usual names."""
    pieces, offset = [], 4
    try:
        for _ in range(count):
            score, length = struct.unpack_from("<fi", content, offset)
            if not 0 <= length <= len(content) - offset - 8:
                raise ConversionError(f"{name}: a piece of {length} bytes")
            text = content[offset + 8 : offset + 8 + length].decode("utf-8")
            pieces.append((text.replace(" ", BLANK), score))
            offset += 8 + length
    except (struct.error, UnicodeDecodeError) as error:
        raise ConversionError(f"{name}: not a tokenizer of {count} pieces: {error}") from error
    if offset != len(content) or count < FIRST_PLAIN_PIECE or pieces[3][0] != "<0x00>":
        raise ConversionError(f"{name}: not a tokenizer of {count} pieces with byte fallback")
    return [(special, 0.0) for special in SPECIAL_PIECES] + pieces[len(SPECIAL_PIECES) :]


def make_merges(pieces: list[tuple[str, float]]) -> list[tuple[str, str]]:
    """Every pair that makes a piece, best score first: SentencePiece's order of merging."""
    plain = pieces[FIRST_PLAIN_PIECE:]
    known = {piece for piece, _ in plain}
    merges = []
    for piece, _ in sorted(plain, key=lambda item: -item[1]):
        splits = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        merges += [pair for pair in splits if known.issuperset(pair)]
    return merges


def make_tokenizer(pieces: list[tuple[str, float]]) -> Tokenizer:
    vocabulary = {piece: index for index, (piece, _) in enumerate(pieces)}
    bpe = models.BPE(vocabulary, make_merges(pieces), unk_token="<unk>", fuse_unk=True)
    bpe.byte_fallback = True
    tokenizer = Tokenizer(bpe)
    blanks = [normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)]
    tokenizer.normalizer = normalizers.Sequence(blanks)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(BLANK, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    for piece in SPECIAL_PIECES:
        tokenizer.add_special_tokens([AddedToken(piece, normalized=False, special=True)])
    return tokenizer


def convert(model: Path, tokenizer: Path, target: Path) -> None:
    """Writes the folder `target`, whole or not at all. Raises ConversionError, OSError."""
    content = model.read_bytes()
    header = read_header(content, model.name)
    weights = read_weights(content, header, model.name)
    pieces = read_pieces(tokenizer.read_bytes(), header.vocab_size, tokenizer.name)
    special = dict(zip(("unk_token", "bos_token", "eos_token"), SPECIAL_PIECES, strict=True))
    with atomic_folder(target) as folder:
        write_json(folder / "config.json", make_config(header))
        ids = {"bos_token_id": 1, "eos_token_id": 2}
        write_json(folder / "generation_config.json", {"_from_model_config": True, **ids})
        make_tokenizer(pieces).save(str(folder / "tokenizer.json"))
        write_json(folder / "special_tokens_map.json", special)
        tokenizer_config = {
            "add_bos_token": True,
            **special,
            "clean_up_tokenization_spaces": False,
            "model_max_length": header.seq_len,
            "tokenizer_class": "PreTrainedTokenizerFast",
        }
        write_json(folder / "tokenizer_config.json", tokenizer_config)
        write_safetensors(folder / "model.safetensors", make_tensors(header, weights))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out_dir", type=Path)
    options = parser.parse_args()
    try:
        convert(options.model, options.tokenizer, options.out_dir)
    except (ConversionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
