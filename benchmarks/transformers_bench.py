#!/usr/bin/env python3
"""What compressing costs a model inside transformers: memory, embeddings, text.

    benchmarks/transformers_bench.py load FOLDER [--dtype float32]
    benchmarks/transformers_bench.py compress DENSE [--dtype float32]
    benchmarks/transformers_bench.py sentences DENSE TEXT [--compressed FOLDER] [--count 200]
    benchmarks/transformers_bench.py text FOLDER [--tokens 64]

load, compress: peak memory of `from_pretrained` of an HXQ folder, or of a dense one that is
compressed while loading, and of one pass over 8 tokens. Private memory is RssAnon, sampled every
5 ms in a child process, less what it has before; resident memory has the mapped files as well.
sentences: 1 - cosine between the sentence embeddings (mean pooling, normalised) of the dense model
and of the compressed one, on the first lines of TEXT with 6 to 60 words; FOLDER is compressed
already, otherwise it happens while loading.
text: the model card's lines on FOLDER, with twelve prompts, against the same model dequantised,
token for token; and the dequantised model against itself, computed in other ways.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("load", "compress"):
        memory = commands.add_parser(name)
        memory.add_argument("folder", type=Path)
        memory.add_argument("--dtype", default="float32")
    sentences = commands.add_parser("sentences")
    sentences.add_argument("folder", type=Path)
    sentences.add_argument("text", type=Path)
    sentences.add_argument("--compressed", type=Path)
    sentences.add_argument("--count", type=int, default=200)
    text = commands.add_parser("text")
    text.add_argument("folder", type=Path)
    text.add_argument("--tokens", type=int, default=64)
    text.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    run = {"load": memory_of, "compress": memory_of, "sentences": sentences_of, "text": text_of}
    print(json.dumps(run[options.command](options), indent=1))
    return 0


# Memory


def memory_of(options: argparse.Namespace) -> dict[str, Any]:
    """Loads in a child process, and watches it from here."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=load_in_child, args=(options, there))
    child.start()
    there.close()
    before = here.recv()["status"]  # once everything is imported
    here.send("go")
    peak = 0
    while not here.poll(0.005):
        peak = max(peak, memory_status(child.pid).get("RssAnon", 0))
    result = here.recv()
    child.join()
    files = sorted(options.folder.glob("*.safetensors"))
    return {
        "command": options.command,
        "dtype": options.dtype,
        "file_bytes": sum(file.stat().st_size for file in files),
        "largest_shard_bytes": max(file.stat().st_size for file in files),
        "peak_private_bytes": peak - before["RssAnon"],
        "private_bytes_after": result["status"]["RssAnon"] - before["RssAnon"],
        "private_bytes_after_a_pass": result["used"]["RssAnon"] - before["RssAnon"],
        "peak_resident_bytes": result["used"]["VmHWM"] - before["VmRSS"],
        "seconds": result["seconds"],
        "compressed_modules": result["modules"],
    }


def load_in_child(options: argparse.Namespace, pipe: Any) -> None:
    import torch
    import transformers

    from helix_substrate import HxqConfig

    transformers.logging.disable_progress_bar()
    config = transformers.AutoConfig.from_pretrained(options.folder)
    cls = transformers.AutoModelForCausalLM
    warm_up(cls, config)
    arguments: dict[str, Any] = {"dtype": getattr(torch, options.dtype)}
    if options.command == "compress":
        arguments["quantization_config"] = HxqConfig()
    pipe.send({"status": memory_status()})
    pipe.recv()
    start = time.monotonic()
    model = cls.from_pretrained(options.folder, **arguments)
    seconds = time.monotonic() - start
    modules = len(model.config.quantization_config.compressed_modules)
    status = memory_status()
    with torch.no_grad():
        model(torch.arange(8).view(1, 8))  # touches every weight
    times = {"seconds": round(seconds, 2), "modules": modules}
    pipe.send({"status": status, **times, "used": memory_status()})


def warm_up(cls: Any, config: Any) -> None:
    """Imports the model's code, so that it is not counted."""
    import torch

    import helix_substrate.transformers.compressing
    import helix_substrate.transformers.loading
    import helix_substrate.transformers.saving  # noqa: F401

    with torch.device("meta"):
        cls.from_config(config)


def memory_status(pid: int | str = "self") -> dict[str, int]:
    """Bytes by the names of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = [line.split() for line in lines if line.startswith(("RssAnon", "VmHWM", "VmRSS"))]
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in pairs}


# Sentence embeddings


def sentences_of(options: argparse.Namespace) -> dict[str, Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from helix_substrate import HxqConfig

    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    lines = sentences_in(options.text.read_text(encoding="utf-8"), options.count)
    dense = AutoModel.from_pretrained(options.folder, dtype=torch.float32)
    wanted = embeddings(dense, tokenizer, lines)
    if options.compressed:
        model = AutoModel.from_pretrained(options.compressed, dtype=torch.float32)
    else:
        model = AutoModel.from_pretrained(
            options.folder, dtype=torch.float32, quantization_config=HxqConfig()
        )
    distance = 1 - (embeddings(model, tokenizer, lines) * wanted).sum(1)
    return {
        "sentences": len(lines),
        "compressed": "from disk" if options.compressed else "while loading",
        "compressed_modules": len(model.config.quantization_config.compressed_modules),
        "max": float(distance.max()),
        "mean": float(distance.mean()),
    }


def sentences_in(text: str, count: int) -> list[str]:
    import re

    found = [piece.strip() for piece in re.split(r"(?<=[.!?])\s+|\n", text)]
    found = [piece for piece in found if 6 <= len(piece.split()) <= 60]
    return found[:count]


def embeddings(model: Any, tokenizer: Any, lines: list[str]) -> Any:
    """(sentences, dim) F64, mean over the tokens, normalised."""
    import torch

    rows = []
    with torch.no_grad():
        for begin in range(0, len(lines), 20):
            batch = tokenizer(lines[begin : begin + 20], padding=True, return_tensors="pt")
            hidden = model(**batch).last_hidden_state.double()
            mask = batch["attention_mask"].unsqueeze(2).double()
            rows.append(torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1)))
    return torch.cat(rows)


# Text


PROMPTS = (
    "The capital of France is",
    "Once upon a time",
    "def fibonacci(n):",
    "Water boils at",
    "The three laws of robotics are",
    "In 1969, ",
    "My favourite recipe is",
    "A neural network is",
    "Dear Sir or Madam,",
    "To be or not to be",
    "The mitochondria",
    "List five animals:",
)


def text_of(options: argparse.Namespace) -> dict[str, Any]:
    """The card's lines for each of PROMPTS against the dequantised model: how many tokens agree.

    The dequantised model is also held against itself, computed in other ways: what differs there is
    no property of the weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import helix_substrate  # noqa: F401  registers the quantizer

    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    length = {"max_new_tokens": options.tokens, "min_new_tokens": options.tokens}

    def texts(model: Any, **how: Any) -> list[Any]:
        asked = [tokenizer(prompt, return_tensors="pt") for prompt in PROMPTS]
        made = [model.generate(**ids, **length, do_sample=False, **how)[0] for ids in asked]
        return [row[-options.tokens :] for row in made]

    def agreement(left: list[Any], right: list[Any]) -> list[int]:
        return [int((a == b).long().cumprod(0).sum()) for a, b in zip(left, right, strict=True)]

    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype=options.dtype)
    count = len(model.config.quantization_config.compressed_modules)
    compressed = texts(model)
    model = model.dequantize()
    dense = texts(model)
    with torch.backends.mkldnn.flags(enabled=False):
        plain = texts(model)
    return {
        "dtype": str(model.dtype),
        "compressed_modules": count,
        "tokens": options.tokens,
        "compressed against dense": agreement(compressed, dense),
        "dense without oneDNN": agreement(plain, dense),
        "dense without key-value cache": agreement(texts(model, use_cache=False), dense),
        "text": tokenizer.decode(compressed[0]),
    }


if __name__ == "__main__":
    sys.exit(main())
