"""The native engine through Python, against logits that PyTorch computed."""

from __future__ import annotations

import _thread
import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("helix_substrate._native", exc_type=ImportError)

import helix_substrate as helix
from helix_substrate.reference_safetensors import read_safetensors

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted(path.parent for path in (ROOT / "tests" / "parity").glob("*/expected.safetensors"))
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
GREEDY = {"max_tokens": 24, "ignore_end_tokens": True}


def letters_tokenizer() -> dict:
    """64 ids: the printable characters from "!" on."""
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "!",
            "vocab": {chr(0x21 + i): i for i in range(64)},
            "merges": [],
        },
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model") / "letters"
    shutil.copytree(ROOT / "tests" / "parity" / "llama-gqa", made)
    (made / "tokenizer.json").write_text(json.dumps(letters_tokenizer()))
    (made / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE})
    )
    return made


@pytest.fixture
def model(folder: Path) -> helix.Model:
    return helix.load(folder, precision="f32")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_logits(case: Path) -> None:
    expected = read_safetensors(case / "expected.safetensors")
    tokens, logits = expected["input_ids"].data.ravel(), expected["logits"].data
    logits = logits.reshape(len(tokens), -1)
    model = helix.load(case, precision="f32")
    found = model.logits(tokens)
    assert found.dtype == np.float32
    assert np.abs(found - logits).max() <= 1e-4 * np.abs(logits).max()
    last = model.logits(tokens.tolist(), last_only=True)
    assert last.shape == (1, logits.shape[1])
    assert np.allclose(last[0], found[-1], rtol=1e-5, atol=1e-5)


def test_greedy_tokens_follow_from_the_logits(model: helix.Model) -> None:
    tokens = model.encode("ABC").tolist()
    assert tokens == [32, 33, 34]
    assert model.decode(tokens) == "A B C"  # tokenizers joins so where there is no decoder
    answer = model.generate("ABC", **GREEDY)
    assert len(answer.tokens) == 24
    assert answer.finish == "length"
    assert answer.prompt_tokens == 3
    for token in answer.tokens:
        assert token == model.logits(tokens, last_only=True).argmax()
        tokens.append(int(token))
    assert answer.text.strip() == model.decode(answer.tokens)
    assert (model.generate(tokens[:3], **GREEDY).tokens == answer.tokens).all()


def test_the_stream_is_the_text_in_pieces(model: helix.Model) -> None:
    answer = model.generate("ABC", **GREEDY)
    stream = model.stream("ABC", **GREEDY)
    pieces = list(stream)
    assert len(pieces) > 1
    assert "".join(pieces) == answer.text
    assert stream.result.text == answer.text
    assert list(stream) == []


def test_a_stream_may_be_left(model: helix.Model) -> None:
    with model.stream("ABC", max_tokens=40, ignore_end_tokens=True) as stream:
        first = next(stream)
    assert stream.result.finish in ("caller", "length")
    assert stream.result.text.startswith(first)
    assert model.generate("ABC", **GREEDY).finish == "length"


def test_a_stream_that_nobody_holds_ends(model: helix.Model) -> None:
    stream = model.stream("ABC", max_tokens=40, ignore_end_tokens=True)
    thread = stream._work.thread
    next(stream)
    del stream
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_a_stream_that_is_open_at_exit(folder: Path) -> None:
    code = f"""import helix_substrate as helix
model = helix.load({str(folder)!r})
stream = model.stream("ABC", max_tokens=50, ignore_end_tokens=True)
print(bool(next(stream)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_stream_hands_faults_over(model: helix.Model) -> None:
    stream = model.stream("A" * 1000)
    with pytest.raises(helix.InvalidArgumentError, match="context"):
        list(stream)
    with pytest.raises(helix.InvalidArgumentError, match="no result"):
        _ = stream.result


def test_stop_texts_and_sampling(model: helix.Model) -> None:
    whole = model.generate("ABC", **GREEDY).text
    stopped = model.generate("ABC", stop=whole[5:8], **GREEDY)
    assert stopped.finish == "stop"
    assert stopped.text == whole[: whole.index(whole[5:8])]
    drawn = [model.generate("ABC", temperature=2.0, seed=seed, **GREEDY).text for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_chat(model: helix.Model) -> None:
    messages = [{"role": "user", "content": "HI"}]
    assert model.has_chat_template
    assert model.render_chat(messages) == "user: HI\n"
    prompt = model.encode("user: HI\n", add_special_tokens=False)
    answer = model.chat(messages, **GREEDY)
    assert (answer.tokens == model.generate(prompt, **GREEDY).tokens).all()
    assert "".join(model.stream_chat(messages, **GREEDY)) == answer.text
    with pytest.raises(helix.InvalidArgumentError, match="role"):
        model.chat(["HI"])


def test_a_compressed_model_runs_like_its_dense_decoding(folder: Path, tmp_path: Path) -> None:
    helix.compress(folder, tmp_path / "hxq")
    helix.decompress(tmp_path / "hxq", tmp_path / "dense", dtype="f32")
    tokens = np.arange(1, 30)
    compressed, dense = (
        helix.load(tmp_path / name, precision="f32", threads=1) for name in ("hxq", "dense")
    )
    assert compressed.description.compressed
    assert not dense.description.compressed
    assert compressed.description.total_weight_bytes < dense.description.total_weight_bytes
    found, expected = compressed.logits(tokens), dense.logits(tokens)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    answers = [each.generate("ABC", **GREEDY).tokens for each in (compressed, dense)]
    assert (answers[0] == answers[1]).all()


def test_two_models_in_several_threads(folder: Path) -> None:
    models = [helix.load(folder, precision=precision) for precision in ("f32", "bf16")]
    alone = [model.generate("HELLO", **GREEDY).text for model in models]

    def work(index: int) -> bool:
        return models[index % 2].generate("HELLO", **GREEDY).text == alone[index % 2]

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(24)))


def test_ctrl_c_ends_generation_and_the_model_stays_usable(model: helix.Model) -> None:
    before = model.generate("ABC", **GREEDY).text
    pieces = []

    def press(piece: str) -> bool:
        pieces.append(piece)
        if len(pieces) == 2:
            _thread.interrupt_main()  # as SIGINT does
        if len(pieces) > 2:
            threading.Event().wait(0.1)  # gives the waiting thread time to see it
        return True

    options = {"max_tokens": 50, "ignore_end_tokens": True}
    with pytest.raises(KeyboardInterrupt):
        model._run("ABC", helix.model._options(options), press)
    assert len(pieces) < 50
    assert model.generate("ABC", **GREEDY).text == before


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def test_evaluate(model: helix.Model, folder: Path, tmp_path: Path) -> None:
    text = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 4
    found = helix.evaluate(model, text, protocol="fast", window=26)
    tokens = model.encode(text).reshape(4, 26)
    losses = [
        -log_softmax(model.logits(row))[np.arange(25), row[1:]].sum() / (4 * 25) for row in tokens
    ]
    assert found.scored_tokens == 100
    assert found.window_count == 4
    assert found.mean_loss == pytest.approx(sum(losses), rel=1e-5)
    assert found.perplexity == pytest.approx(np.exp(sum(losses)), rel=1e-5)
    assert found.comparison is None
    file = tmp_path / "text.txt"
    file.write_text(text)
    other = helix.evaluate(folder, file, protocol="fast", window=26, precision="f32", against=model)
    assert other.perplexity == pytest.approx(found.perplexity)
    assert other.comparison.same_top_share == 1.0
    assert other.comparison.mean_divergence == pytest.approx(0.0, abs=1e-9)
    assert other.receipt["protocol"]["text"] == "text.txt"
    with pytest.raises(helix.InvalidArgumentError, match="own reference"):
        helix.evaluate(model, text, against=model)
    with pytest.raises(helix.InvalidArgumentError, match="'slow'"):
        helix.evaluate(model, text, protocol="slow")


def test_the_description(model: helix.Model) -> None:
    found = model.description
    assert (found.model_type, found.precision, found.vocabulary_size) == ("llama", "f32", 64)
    assert repr(model).startswith("Model(llama, dense")


def test_what_is_refused(model: helix.Model, folder: Path) -> None:
    with pytest.raises(helix.InvalidArgumentError, match="context"):
        model.generate("A" * 1000)
    with pytest.raises(helix.InvalidArgumentError, match="temperature"):
        model.generate("A", temperature=-1.0)
    with pytest.raises(helix.InvalidArgumentError, match="max_tokens"):
        model.generate("A", max_tokens=-1)
    with pytest.raises(TypeError, match="max_length"):
        model.generate("A", max_length=3)
    with pytest.raises(helix.InvalidArgumentError, match="token ids"):
        model.logits([[1, 2]])
    with pytest.raises(helix.InvalidArgumentError, match="float64"):
        model.logits([1.5])
    for tokens in ([-1], [2**40], [64]):
        with pytest.raises(helix.InvalidArgumentError):
            model.logits(tokens)
    with pytest.raises(helix.InvalidArgumentError, match="precision 'f8'"):
        helix.load(folder, precision="f8")
    with pytest.raises(helix.InvalidArgumentError, match="100000"):
        helix.load(folder, context_length=100_000)
