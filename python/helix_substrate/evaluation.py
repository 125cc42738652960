"""Perplexity and divergence of a model, by the native engine."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helix_substrate.hub import StrPath
from helix_substrate.model import Model, load
from helix_substrate.progress import ProgressBar, log


@dataclass(frozen=True)
class Comparison:
    """A model beside the one it was made from, on the same positions."""

    reference_perplexity: float
    delta_percent: float
    """Of the perplexity."""
    mean_divergence: float
    """Kullback-Leibler, of the model from the reference, nats."""
    divergence_error: float
    """Standard error of the mean."""
    divergence_p99: float
    same_top_share: float
    """Positions with the same most likely token."""


@dataclass(frozen=True)
class Evaluation:
    """What evaluate() measured."""

    protocol: str
    window: int
    stride: int
    text_tokens: int
    scored_tokens: int
    computed_tokens: int
    window_count: int
    mean_loss: float
    """Negative log-likelihood of a scored token, nats."""
    perplexity: float
    seconds: float
    comparison: Comparison | None
    receipt: dict[str, Any]
    """All that the figures depend on, as `helix eval --receipt` writes it."""


def evaluate(
    model: Model | StrPath,
    text: str | os.PathLike[str],
    *,
    against: Model | StrPath | None = None,
    protocol: str = "card",
    window: int = 0,
    stride: int = 0,
    max_tokens: int = 0,
    separator: str = "<|endoftext|>",
    precision: str = "bf16",
    threads: int = 0,
    progress: bool | None = None,
) -> Evaluation:
    """Perplexity of `text`: a string, or a Path of a file to read.

    model, against: loaded, or a folder or hub name to load with `precision` and `threads`; with
    `against`, the model it was made from, also how far its predictions are from that one's.

    protocol: "card" (windows of `window` tokens every `stride`, each token scored once; the
    published figures: 2048 and 512), "fast" (windows that do not overlap) or "documents" (the text
    split at `separator`). window 0: 2048, or the context; stride 0: a quarter of it; max_tokens:
    only the first of the text.
    """
    name, content = ("text", text) if isinstance(text, str) else _read(text)
    options = {
        "protocol": protocol,
        "window": window,
        "stride": stride,
        "max_tokens": max_tokens,
        "separator": separator,
        "text_name": name,
        "command": ["helix_substrate.evaluate"],
    }

    def loaded(given: Model | StrPath) -> Model:
        if isinstance(given, Model):
            return given
        return load(given, precision=precision, threads=threads)

    subject = loaded(model)
    reference = None if against is None else loaded(against)._native
    with ProgressBar(progress, "evaluate") as bar:
        found = subject._native.evaluate(content, options, reference, bar.callback, log)
    found["comparison"] = found["comparison"] and Comparison(**found["comparison"])
    found["receipt"] = json.loads(found["receipt"])
    return Evaluation(**found)


def _read(path: os.PathLike[str]) -> tuple[str, str]:
    file = Path(path)
    return file.name, file.read_text(encoding="utf-8")
