"""The card protocol end to end: a checkpoint of TinyLlama's kind with its tokenizer, compressed and
evaluated; what was scored is counted again with SentencePiece and the textbook's loop alone.
"""

import json
import shutil

import pytest

from helix_program import TEST_DATA
from make_dummy_checkpoint import make_checkpoint

TOKENIZER = TEST_DATA / "tokenizers" / "llama2" / "tokenizer.model"
CONFIG = TEST_DATA / "configs" / "TinyLlama-1.1B-Chat-v1.0.config.json"
TEXT = TEST_DATA / "text" / "wiki.test.raw"
SMALL = {"hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2}

pytestmark = pytest.mark.skipif(not TOKENIZER.is_file(), reason=f"no test data at {TEST_DATA}")


def textbook(count: int, window: int, stride: int) -> tuple[int, int, int]:
    """Windows, tokens read and tokens scored by the loop of transformers' page on perplexity."""
    windows = read = scored = previous_end = 0
    for begin in range(0, count, stride):
        end = min(begin + window, count)
        target = end - previous_end
        windows += 1
        read += end - begin
        scored += min(target, end - begin - 1)  # labels are shifted by one within the window
        previous_end = end
        if end == count:
            break
    return windows, read, scored


@pytest.fixture(scope="module")
def checkpoint(helix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("protocol")
    config = json.loads(CONFIG.read_text(encoding="utf-8")) | SMALL
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    make_checkpoint(folder / "config.json", folder / "dense", "BF16", 1 << 30, 0)
    shutil.copy(TOKENIZER, folder / "dense")
    helix.succeed("compress", folder / "dense", folder / "hxq", "--quiet")
    return folder


@pytest.mark.parametrize("size", [9_000, 14_000])
def test_the_card_protocol_scores_what_the_textbook_scores(helix, checkpoint, tmp_path, size):
    sentencepiece = pytest.importorskip("sentencepiece")
    text = TEXT.read_bytes()[:size].decode("utf-8", errors="ignore")
    (tmp_path / "text.txt").write_text(text, encoding="utf-8", newline="")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZER))
    count = len(processor.encode(text, add_bos=True))
    windows, read, scored = textbook(count, 2048, 512)
    assert windows > 1
    assert scored == count - 1
    report = json.loads(
        helix.succeed("eval", checkpoint / "hxq", "--text", tmp_path / "text.txt", "--json")
    )
    protocol = report["protocol"]
    assert (protocol["name"], protocol["window"], protocol["stride"]) == ("card", 2048, 512)
    assert protocol["text_tokens"] == count
    assert protocol["windows"] == windows
    assert protocol["computed_tokens"] == read
    assert protocol["scored_tokens"] == scored
    assert report["tokens_per_second"] > 0
    assert report["peak_memory_bytes"] > report["model"]["weight_bytes"]
