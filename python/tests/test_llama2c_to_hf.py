"""tools/llama2c_to_hf.py: hand-made files, and two trained models with llama2.c's own output."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("gguf")

from gguf_to_hf import ConversionError  # noqa: E402
from helix_substrate.reference_safetensors import read_safetensors  # noqa: E402
from llama2c_to_hf import convert, make_tokenizer, read_pieces  # noqa: E402

DIM, INNER, LAYERS, HEADS, KV_HEADS, SEQ_LEN = 8, 12, 2, 2, 1, 16
PLAIN = ["▁", "a", "b", "ab", "▁ab", "c"]
VOCABULARY = 259 + len(PLAIN)


def write_tokenizer(path: Path, count: int = VOCABULARY) -> None:
    pieces = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [piece.replace("▁", " ") for piece in PLAIN]
    content = struct.pack("<i", 8)
    for index, piece in enumerate(pieces[:count]):
        raw = piece.encode()
        content += struct.pack("<fi", -float(index), len(raw)) + raw
    path.write_bytes(content)


def write_model(path: Path, tied: bool) -> dict[str, np.ndarray]:
    keys = DIM // HEADS * KV_HEADS
    shapes = {
        "embedding": (VOCABULARY, DIM),
        "attention_norm": (LAYERS, DIM),
        "wq": (LAYERS, DIM, DIM),
        "wk": (LAYERS, keys, DIM),
        "wv": (LAYERS, keys, DIM),
        "wo": (LAYERS, DIM, DIM),
        "ffn_norm": (LAYERS, DIM),
        "w1": (LAYERS, INNER, DIM),
        "w2": (LAYERS, DIM, INNER),
        "w3": (LAYERS, INNER, DIM),
        "norm": (DIM,),
        "rotary": (2, SEQ_LEN, DIM // HEADS // 2),
    }
    if not tied:
        shapes["head"] = (VOCABULARY, DIM)
    random = np.random.default_rng(5)
    weights = {key: random.standard_normal(shape, np.float32) for key, shape in shapes.items()}
    size = VOCABULARY if tied else -VOCABULARY
    header = struct.pack("<7i", DIM, INNER, LAYERS, HEADS, KV_HEADS, size, SEQ_LEN)
    path.write_bytes(header + b"".join(array.tobytes() for array in weights.values()))
    return weights


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict, bool]:
    weights = write_model(tmp_path / "m.bin", request.param)
    write_tokenizer(tmp_path / "t.bin")
    convert(tmp_path / "m.bin", tmp_path / "t.bin", tmp_path / "out")
    return tmp_path / "out", weights, request.param


def test_weights(made: tuple[Path, dict, bool]) -> None:
    folder, weights, tied = made
    found = {key: t.data for key, t in read_safetensors(folder / "model.safetensors").items()}
    assert len(found) == 9 * LAYERS + 2 + (not tied)
    if not tied:
        assert np.array_equal(found["lm_head.weight"], weights["head"])
    plain = {
        "input_layernorm": "attention_norm",
        "self_attn.v_proj": "wv",
        "self_attn.o_proj": "wo",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "w1",
        "mlp.down_proj": "w2",
        "mlp.up_proj": "w3",
    }
    for ours, theirs in plain.items():
        for layer in range(LAYERS):
            key = f"model.layers.{layer}.{ours}.weight"
            assert np.array_equal(found[key], weights[theirs][layer]), key
    order = [0, 2, 1, 3]  # of a head's rows: the first of each rotary pair, then the second
    q = found["model.layers.1.self_attn.q_proj.weight"]
    assert np.array_equal(q, weights["wq"][1][[*order, *(4 + row for row in order)]])
    k = found["model.layers.1.self_attn.k_proj.weight"]
    assert np.array_equal(k, weights["wk"][1][order])
    config = json.loads((folder / "config.json").read_text())
    assert config["tie_word_embeddings"] is tied
    assert config["vocab_size"] == VOCABULARY


def test_unfit_files_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "m.bin", tied=True)
    write_tokenizer(tmp_path / "t.bin")
    whole = (tmp_path / "m.bin").read_bytes()
    faults = {
        b"short": "too short",
        whole[:-4]: "its header calls for",
        whole + b"1234": "its header calls for",
        b"ak42" + whole[4:]: "not a llama2.c model|calls for",
        struct.pack("<7i", 8, 12, 2, 3, 1, 300, 16): "not a llama2.c model",
    }
    for content, message in faults.items():
        (tmp_path / "bad.bin").write_bytes(content)
        with pytest.raises(ConversionError, match=message):
            convert(tmp_path / "bad.bin", tmp_path / "t.bin", tmp_path / "out")
    write_tokenizer(tmp_path / "t.bin", count=VOCABULARY - 1)
    with pytest.raises(ConversionError, match="not a tokenizer of"):
        convert(tmp_path / "m.bin", tmp_path / "t.bin", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# llama2.c's encoder, straight from its description: characters (or their bytes), then the best pair


def encode_greedily(text: str, pieces: list[tuple[str, float]]) -> list[int]:
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    tokens = [1]
    for character in ("▁" + text if text else "").replace(" ", "▁"):
        known = ids.get(character)
        tokens += [known] if known is not None else [byte + 3 for byte in character.encode()]
    while True:
        best = None
        for at in range(len(tokens) - 1):
            merged = ids.get(pieces[tokens[at]][0] + pieces[tokens[at + 1]][0])
            if merged is not None and (best is None or pieces[merged][1] > best[0]):
                best = pieces[merged][1], at, merged
        if best is None:
            return tokens
        tokens[best[1] : best[1] + 2] = [best[2]]


TEXTS = [
    "",
    " ",
    "Once upon a time, there was a little girl named Lily.",
    'He said: "What?!"\n\nShe didn\'t answer...\tA tab.',
    "  two  spaces   three ",
    "numbers 0123456789 and <angle> {curly} ~tilde~",
    "naïve café, Привет, 你好, 😀",
    "aaaaaaaa bbbb hehehehe the the thethe",
]


def test_token_ids_of_the_real_tokenizer(test_data: Path) -> None:
    content = (test_data / "tokenizers" / "tok512" / "tok512.bin").read_bytes()
    pieces = read_pieces(content, 512, "tok512.bin")
    tokenizer = make_tokenizer(pieces)
    sample = (test_data / "text" / "tinystories_sample.txt").read_text(encoding="utf-8")
    for text in [*TEXTS, sample]:
        ids = tokenizer.encode(text).ids
        assert ids == encode_greedily(text, pieces), text
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    ("name", "context", "perplexity"),
    [("stories260K/stories260K.bin", 512, 3.548), ("llama2xs/model.bin", 256, 6.817)],
)
def test_trained_models_predict_text(
    test_data: Path, tmp_path: Path, name: str, context: int, perplexity: float
) -> None:
    """Per token of the sample's five stories, each from its start up to the model's context."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    tokenizer_path = test_data / "tokenizers" / "tok512" / "tok512.bin"
    convert(test_data / "weights" / name, tokenizer_path, tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    sample = (test_data / "text" / "tinystories_sample.txt").read_text(encoding="utf-8")
    stories = [story.strip() for story in sample.split("<|endoftext|>") if story.strip()]
    assert len(stories) == 5
    total, count = 0.0, 0
    for story in stories:
        ids = tokenizer(story, return_tensors="pt").input_ids[:, :context]
        with torch.no_grad():
            total += model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    assert np.exp(total / count) == pytest.approx(perplexity, abs=5e-4)


def test_greedy_text_equals_llama2c(test_data: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder = test_data / "weights" / "stories260K"
    tokenizer_path = test_data / "tokenizers" / "tok512" / "tok512.bin"
    convert(folder / "stories260K.bin", tokenizer_path, tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        ids = model.generate(
            torch.tensor([[1]]), max_new_tokens=200, do_sample=False, eos_token_id=None
        )
    text = tokenizer.decode(ids[0, 1:])
    expected = (folder / "stories260K.greedy200.expected.txt").read_text(encoding="utf-8")
    assert text.strip() == expected.strip()
