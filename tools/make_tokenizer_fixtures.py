"""Trains tiny tokenizers with the `tokenizers` library into tests/fixtures/tokenizers.

    python tools/make_tokenizer_fixtures.py OUT_DIR

Every folder of OUT_DIR holds a tokenizer.json and expected.json: texts, and the ids and texts that
the library itself gives. The C++ test tokenizer_test.cpp compares. Folder sentence-piece holds a
tokenizer.model for sentence_piece_test.cpp. Needs tokenizers and sentencepiece.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from pathlib import Path

from sentencepiece import SentencePieceTrainer
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't care at all.",
    "Numbers 1 12 123 2024 and 3.14; names like Zoë, naïve Ångström, größer.",
    "We're here; they'll come, I'm sure you've seen that she'd go there.",
    "def main():\n    for i in range(10):\n        print(i)\n\n\treturn None",
    "Пример текста на русском языке. 日本語のテキスト。 the there then them",
] * 4

TEXTS = [
    "",
    " ",
    "   ",
    "\n\n  \t x",
    "Hello world",
    " Hello  world!!  ",
    "the dog doesn't; WE'RE 'LL 'll",
    "1234567 and 3.14",
    "Zoe\u0308 Zoë \u212b ﬁ",
    "日本語 text の 🙂 end",
    "a<|end|>b<|end|> <mark> c<mark>d",
    "word wordy sword word",
    "x\u00a0y\u3000z\u2028w\u180ev\u0085u",
    "<0x41> ▁ Ġ",
    "\u0301\u0323 a\u0323\u0301",
    "line\r\nline\r\r\n",
    "<s> hi </s>",
    "dog" * 40,
]

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def added_tokens() -> list[AddedToken]:
    return [
        AddedToken("<|end|>", special=True, normalized=False),
        AddedToken("<mark>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("word", single_word=True, normalized=True),
    ]


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(added_tokens())
    return tokenizer


def sentence_piece_style() -> Tokenizer:
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    bytes_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=520, special_tokens=special + bytes_tokens, show_progress=False
    )
    tokenizer.train_from_iterator([line[:60] for line in CORPUS[:8]], trainer)
    # The byte tokens are plain tokens of the vocabulary: read the model anew without its marks.
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = content["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer.add_tokens(added_tokens())
    return tokenizer


def word_piece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False),
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(
            vocab_size=200, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        ),
    )
    return tokenizer


def expected(tokenizer: Tokenizer) -> list[dict[str, object]]:
    result = []
    for text in TEXTS:
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        special = tokenizer.encode(text, add_special_tokens=True).ids
        result.append(
            {
                "text": text,
                "ids": plain,
                "ids_with_special": special,
                "decoded": tokenizer.decode(special, skip_special_tokens=False),
                "decoded_without_special": tokenizer.decode(special, skip_special_tokens=True),
            }
        )
    return result


def sentence_piece(folder: Path) -> None:
    """A model that puts no space before a text and replaces a few characters."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # the model keeps the name of the file of rules
    rules = Path("rules.tsv")
    rules.write_text("41\t61\nC9\t65\nE9\t65\n2126\t3C9\nFB01\t66 69\n", encoding="utf-8")
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(
            ["The quick brown fox jumps over the lazy dog, then finds them"] * 4
        ),
        model_writer=model,
        model_type="bpe",
        vocab_size=60,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_tsv=str(rules),
        minloglevel=3,
    )
    rules.unlink()
    Path("tokenizer.model").write_bytes(model.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    for make in (byte_level, sentence_piece_style, word_piece, unigram):
        folder = out / make.__name__.replace("_", "-")
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = make()
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        cases = json.dumps(expected(tokenizer), ensure_ascii=False, indent=0)
        (folder / "expected.json").write_text(cases + "\n", encoding="utf-8")
    sentence_piece(out / "sentence-piece")


if __name__ == "__main__":
    main()
