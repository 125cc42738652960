"""generate, chat, eval and bench as a user meets them, on a small folder of tests/parity."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from helix_program import rewrite

ROOT = Path(__file__).resolve().parents[2]
HELIX = os.environ.get("HELIX_CLI", str(ROOT / "build/dev/apps/cli/helix"))
pytestmark = pytest.mark.skipif(not Path(HELIX).is_file(), reason="no program; set HELIX_CLI")
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"


def letters_tokenizer() -> dict:
    """64 ids: the printable characters from "!" on; a space has none and is the unknown token."""
    vocabulary = {chr(0x21 + i): i for i in range(64)}
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
            "vocab": vocabulary,
            "merges": [],
        },
    }


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "tests/parity/llama-gqa", folder)
    (folder / "tokenizer.json").write_text(json.dumps(letters_tokenizer()))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE})
    )
    return folder


def run(*arguments: object, stdin: str | bytes = "", check: int = 0):
    data = stdin.encode() if isinstance(stdin, str) else stdin
    result = subprocess.run(
        [HELIX, *map(str, arguments)], input=data, capture_output=True, timeout=120
    )
    assert result.returncode == check, result.stderr.decode(errors="replace")
    return result.stdout.decode(), result.stderr.decode(errors="replace")


def test_generate_streams_the_same_as_json(model: Path):
    out, _ = run("generate", model, "ABC", "-n", 12, "--quiet", "--ignore-end")
    report = json.loads(run("generate", model, "ABC", "-n", 12, "--json", "--ignore-end")[0])
    assert out == report["text"] + "\n"
    assert len(report["tokens"]) == 12
    assert report["prompt_tokens"] == 3
    assert report["finish"] == "length"
    piped, _ = run("generate", model, "-", "-n", 12, "--quiet", "--ignore-end", stdin="ABC")
    assert piped == out


def test_sampling_follows_the_seed(model: Path):
    options = ("-n", 16, "--temperature", 1.5, "--json", "--ignore-end")
    texts = [
        json.loads(run("generate", model, "ABC", *options, "--seed", seed)[0])["tokens"]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_stop_text(model: Path):
    whole = json.loads(run("generate", model, "ABC", "-n", 20, "--json", "--ignore-end")[0])["text"]
    stop = whole[5:8]
    report = json.loads(
        run("generate", model, "ABC", "-n", 20, "--json", "--ignore-end", "--stop", stop)[0]
    )
    assert report["finish"] == "stop"
    assert report["text"] == whole[: whole.index(stop)]


def test_chat_answers_one_message_and_keeps_a_history(model: Path):
    report = json.loads(run("chat", model, "--message", "HI", "-n", 5, "--json")[0])
    assert len(report["tokens"]) <= 5
    out, _ = run("chat", model, "-n", 4, "--quiet", stdin="HI\n/new\nHO\n/exit\nNO\n")
    assert len(out.splitlines()) == 2


def test_chat_takes_several_lines_between_quotes(model: Path):
    answers = {
        message: run("chat", model, "-n", 6, "--quiet", "--message", "-", stdin=message)[0]
        for message in ("HI\n\nHO", "/new", "HI", "B    \nA")
    }
    assert len(set(answers.values())) == 4
    for text, message in (
        ('"""HI\n\nHO"""\n', "HI\n\nHO"),
        ('"""\nHI\n\nHO\n"""\n', "HI\n\nHO"),
        ('"""\nHI\n\nHO', "HI\n\nHO"),
        ('"""/new"""\n', "/new"),
        ('"""\n"""\nHI\n', "HI"),
        ('"""B    \nA"""  \n', "B    \nA"),
    ):
        assert run("chat", model, "-n", 6, "--quiet", stdin=text)[0] == answers[message], text


def test_chat_without_a_template(model: Path):
    (model / "tokenizer_config.json").unlink()
    _, error = run("chat", model, "--message", "HI", check=3)
    assert f"{model}: there is no chat template" in error


def test_eval_and_receipt(model: Path, tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 8)
    receipt = tmp_path / "receipt.json"
    options = ("--text", text, "--window", 32, "--receipt", receipt)
    exact = ("--precision", "f32", "--stride", 8, "--against", model)
    out, _ = run("eval", model, *options, *exact, "--quiet")
    assert "perplexity" in out
    report = json.loads(receipt.read_text())
    assert report["protocol"]["name"] == "card"
    assert report["protocol"]["text_tokens"] == 208
    assert report["protocol"]["scored_tokens"] == 207
    assert report["protocol"]["stride"] == 8
    assert report["against"]["mean_divergence"] == 0.0
    assert report["against"]["same_top_share"] == 1.0
    assert report["against"]["delta_percent"] == 0.0
    assert report["command"][:2] == ["helix", "eval"]
    fast = json.loads(run("eval", model, *options, "--protocol", "fast", "--json")[0])
    assert fast["protocol"]["scored_tokens"] == 6 * 31 + 15
    first = json.loads(
        run("eval", model, *options, "--protocol", "fast", "--tokens", 64, "--json")[0]
    )
    assert first["protocol"]["scored_tokens"] == 62
    parts = json.loads(
        run("eval", model, *options, "--protocol", "documents", "--separator", "Z", "--json")[0]
    )
    assert parts["protocol"]["scored_tokens"] == 8 * 24


def test_bench(model: Path):
    options = ("--prompt", 8, "--generate", 4, "--repetitions", 2, "--json")
    for subject in ((model,), ("--dummy", model / "config.json"), ("--dummy", model, "--dense")):
        report = json.loads(run("bench", *subject, *options)[0])
        assert len(report["generated_samples"]) == 2
        assert report["generated_tokens_per_second"] > 0
        assert report["read_bytes_per_second"] > 0
    run("bench", check=2)
    _, error = run("bench", model, check=2)
    assert "a prompt of 512 and 64 generated tokens, but the model takes texts of at most" in error


def test_faults_have_their_exit_status(model: Path, tmp_path: Path):
    _, error = run("generate", model, stdin=b"", check=2)  # no prompt
    assert "PROMPT" in error
    _, error = run("generate", model, "-", stdin=b"AB\xff", check=2)
    assert "UTF-8" in error
    _, error = run("generate", model, "-", stdin="A" * 100, check=2)
    assert "context" in error and "100" in error
    _, error = run("generate", model, "A", "--context", 4096, check=2)
    assert "4096" in error
    _, error = run("generate", model, "A", "--temperature", -1, check=2)
    assert "temperature" in error
    _, error = run("generate", tmp_path, "A", check=3)
    assert "config.json" in error
    (model / "tokenizer.json").unlink()
    _, error = run("generate", model, "A", check=3)
    assert "token" in error


def test_ten_megabytes_of_prompt(model: Path):
    _, error = run("generate", model, "-", stdin="AB" * 5_000_000, check=2)
    assert "context" in error


def test_a_truncated_shard(model: Path):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    _, error = run("generate", model, "A", check=4)
    assert "model.safetensors" in error


def test_weights_that_are_not_numbers(model: Path):
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    header_bytes = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + header_bytes])
    begin = header["model.layers.0.mlp.down_proj.weight"]["data_offsets"][0] + 8 + header_bytes
    content[begin : begin + 4] = b"\xff\xff\xff\xff"
    weights.write_bytes(content)
    for command in (("generate", model, "ABC"), ("chat", model, "--message", "ABC")):
        _, error = run(*command, check=4)
        assert "not a number" in error


def test_an_unknown_architecture(model: Path):
    config = json.loads((model / "config.json").read_text())
    config["model_type"] = "bloom"
    (model / "config.json").write_text(json.dumps(config))
    _, error = run("generate", model, "A", check=5)
    assert "bloom" in error and "llama, qwen2" in error


def test_interrupt_ends_a_long_run(model: Path, tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("ABCDEFGH" * 100_000)
    process = subprocess.Popen(
        [HELIX, "eval", model, "--text", text, "--window", "64", "--stride", "1", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert b"cancelled" in error


def test_interrupt_in_a_prompt(tmp_path: Path):
    """A prompt that takes minutes ends at once: the first chunk is the longest wait."""
    config = json.loads((ROOT / "tests/parity/llama-gqa/config.json").read_text())
    config |= {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 16}
    config |= {"max_position_embeddings": 1 << 20, "head_dim": 64}
    (tmp_path / "config.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [HELIX, "bench", "--dummy", tmp_path, "--prompt", "500000", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=100)
    assert process.returncode == 130, error


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("-n", "-1"),
        ("-n", ""),
        ("-n", "99999999999999999999"),
        ("--top-k", "-5"),
        ("--seed", "-1"),
        ("--seed", "18446744073709551616"),
        ("--temperature", ""),
        ("--temperature", "1x"),
        ("--context", "0"),
    ],
)
def test_numbers_are_numbers(model: Path, option: str, value: str):
    _, error = run("generate", model, "ABC", option, value, check=2)
    assert f'"{value}", expected' in error


def test_options_that_would_do_nothing(model: Path, tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("ABC" * 20)
    for protocol, option in (
        ("fast", "--stride"),
        ("documents", "--tokens"),
        ("card", "--separator"),
    ):
        _, error = run("eval", model, "--text", text, "--protocol", protocol, option, 3, check=2)
        assert option in error
    _, error = run("bench", model, "--dense", check=2)
    assert "--dummy" in error
    _, error = run("chat", model, "--json", check=2)
    assert "--message" in error
    _, error = run("verify", model, "--table", check=2)
    assert "--against" in error
    for command in (
        ("verify", model, "--against"),
        ("eval", model, "--text", text, "--against"),
        ("eval", model, "--text", text, "--receipt"),
        ("bench", model, "--dummy"),
    ):
        assert command[-1] in run(*command, "", check=2)[1]
    run("bench", model, "--threads", "0x2", check=2)
    _, error = run("chatter", check=2)
    assert '"chatter"' in error


def test_a_receipt_replaces_receipts_only(model: Path, tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("ABC" * 20)
    options = ("eval", model, "--text", text, "--protocol", "fast", "--quiet")
    _, error = run(*options, "--receipt", text, check=2)
    assert "text.txt" in error
    assert text.read_text() == "ABC" * 20
    _, error = run(*options, "--receipt", tmp_path / "no" / "receipt.json", check=3)
    assert "no folder" in error
    receipt = tmp_path / "receipt.json"
    for _ in range(2):
        run(*options, "--receipt", receipt)
        assert json.loads(receipt.read_text())["receipt"] == "helix evaluation"
    out, _ = run(*options, "--receipt", "/dev/full", check=6)
    assert "perplexity" in out  # the result is not lost
    receipt.unlink()
    with Path("/dev/full").open("w") as full:
        lost = subprocess.run([HELIX, *map(str, options), "--receipt", receipt], stdout=full)
        assert lost.returncode == 6
        assert subprocess.run([HELIX, "--help"], stdout=full).returncode == 6
    assert json.loads(receipt.read_text())["receipt"] == "helix evaluation"
    text.unlink()
    run(*options, "--receipt", tmp_path / "other.json", check=3)
    assert not list(tmp_path.glob("*.json*.partial*"))


def test_what_cannot_be_read(model: Path, tmp_path: Path):
    _, error = run("eval", model, "--text", tmp_path, check=6)
    assert "cannot be read" in error
    folder = os.open(tmp_path, os.O_RDONLY)
    done = subprocess.run([HELIX, "generate", model, "-"], stdin=folder, capture_output=True)
    os.close(folder)
    assert done.returncode == 6
    assert b"standard input" in done.stderr


def test_closed_descriptors_take_nothing_in(model: Path, tmp_path: Path):
    out = tmp_path / "out"
    command = f'exec "{HELIX}" compress "{model}" "{out}" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command]).returncode == 6  # nowhere to print the summary
    run("verify", out)


def test_the_last_line_end_of_input_is_not_the_prompt(model: Path):
    options = ("-n", 4, "--json", "--ignore-end")
    plain = json.loads(run("generate", model, "ABC", *options)[0])
    for ending in ("\n", "\r\n"):
        piped = json.loads(run("generate", model, "-", *options, stdin="ABC" + ending)[0])
        assert (piped["prompt_tokens"], piped["tokens"]) == (3, plain["tokens"])


def test_a_text_with_a_token_the_model_lacks(model: Path, tmp_path: Path):
    tokenizer = letters_tokenizer()
    tokenizer["model"]["vocab"]["~"] = 16_000_000
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    text = tmp_path / "text.txt"
    text.write_text("A" * 40 + "~" + "A" * 10)
    for protocol in ("card", "fast", "documents"):
        for more in ((), ("--against", model)):
            _, error = run("eval", model, "--text", text, "--protocol", protocol, *more, check=4)
            assert "16000000" in error


# config.json ties the head to the table, the files hold another head: it is the one that counts,
# whichever of the two is compressed, and even where they differ in an outlier alone.
@pytest.mark.parametrize("outlier_alone", [False, True])
@pytest.mark.parametrize("options", ["", "--embeddings", "--lm-head", "--embeddings --lm-head"])
def test_a_head_of_its_own(model: Path, tmp_path: Path, outlier_alone: bool, options: str):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    if outlier_alone:

        def change(tensors):
            head = tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()
            head[5, 3] = 4.0 * abs(head).max()

        rewrite(model, change)
    text = tmp_path / "text.txt"
    text.write_text("ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 8)
    packed = tmp_path / "packed"
    _, error = run("compress", model, packed, "--outliers", 1, *options.split())
    assert "values differ" in error
    out, error = run("eval", packed, "--text", text, "--against", model, "--json")
    assert error.count("stored lm_head is another") == 2
    assert error.count("stored lm_head is another") == 2
    assert json.loads(out)["against"]["mean_divergence"] < 0.01


def test_another_tokenizer_is_no_reference(model: Path, tmp_path: Path):
    other = tmp_path / "other"
    shutil.copytree(model, other)
    tokenizer = letters_tokenizer()
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["A"], vocabulary["B"] = vocabulary["B"], vocabulary["A"]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    text = tmp_path / "text.txt"
    text.write_text("ABC" * 20)
    _, error = run("eval", model, "--text", text, "--against", other, check=2)
    assert "tokenizer" in error


def test_ctrl_c_at_the_prompt_of_a_chat(model: Path):
    for _ in range(8):  # also in the moment before it reads
        parent, child = os.openpty()
        process = subprocess.Popen(
            [HELIX, "chat", model], stdin=child, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        os.close(child)
        text = b""
        while not text.endswith(b"> "):
            text += process.stderr.read(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        os.close(parent)
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("command", [("generate", "-"), ("eval", "--text", "-")], ids=str)
def test_ctrl_c_while_standard_input_is_read(model: Path, command: tuple):
    name, *rest = command
    with subprocess.Popen(
        [HELIX, name, model, *rest],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(b"A" * (1 << 20))  # more than a pipe holds: it is being read
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, process.stderr.read()
