"""The native engine: language models straight from the codes, without PyTorch."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helix_substrate import _native
from helix_substrate.errors import InvalidArgumentError
from helix_substrate.hub import StrPath, local_folder
from helix_substrate.progress import log

Prompt: TypeAlias = str | ArrayLike
Messages: TypeAlias = Sequence[Mapping[str, str]]

_OPTIONS: dict[str, Any] = {
    "max_tokens": 0,
    "temperature": 0.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "seed": 0,
    "stop": (),
    "ignore_end_tokens": False,
    "skip_special_tokens": True,
}


@dataclass(frozen=True)
class ModelDescription:
    """What was loaded."""

    model_type: str
    compressed: bool
    dtype: str
    """Of the dense weights, as config.json says."""
    precision: str
    instruction_set: str
    thread_count: int
    vocabulary_size: int
    context_length: int
    """Tokens."""
    token_weight_bytes: int
    """Weights that one generated token reads."""
    total_weight_bytes: int


@dataclass(frozen=True, eq=False)
class Generation:
    """An answer of the model."""

    text: str
    tokens: NDArray[np.int32]
    """The end token included."""
    finish: str
    """"end", "stop", "length", "context" or "caller"."""
    prompt_tokens: int
    reused_tokens: int
    """Of the prompt, that were in the cache already."""
    prompt_seconds: float
    generate_seconds: float


class Model:
    """A Llama or Qwen2 model, dense or HXQ, with its tokenizer; made by load().

    Any thread may call; calls that compute follow one another. Ctrl-C ends a call with
    KeyboardInterrupt, and the model stays usable.
    """

    def __init__(
        self, folder: StrPath, *, precision: str = "bf16", context_length: int = 0, threads: int = 0
    ) -> None:
        self._native = _native.Model(Path(folder), threads, precision, context_length, log)

    @property
    def description(self) -> ModelDescription:
        """What was loaded, and how it runs."""
        return ModelDescription(**self._native.describe())

    def __repr__(self) -> str:
        found = self.description
        kind = "HXQ" if found.compressed else "dense"
        return f"Model({found.model_type}, {kind}, {found.total_weight_bytes / 1e6:.1f} MB)"

    def encode(self, text: str, *, add_special_tokens: bool = True) -> NDArray[np.int32]:
        """The token ids of a text, (tokens,)."""
        return self._native.encode(text, add_special_tokens)

    def decode(self, tokens: ArrayLike, *, skip_special_tokens: bool = True) -> str:
        """The text of token ids."""
        return self._native.decode(_token_ids(tokens), skip_special_tokens)

    def generate(self, prompt: Prompt, **options: Any) -> Generation:
        """Continues a text or token ids.

        max_tokens (0: until the context is full), temperature (0: always the most likely token),
        top_k, top_p, min_p, repetition_penalty, presence_penalty, seed, stop (texts that end the
        answer), ignore_end_tokens, skip_special_tokens: as the `helix generate` program has them.
        What the prompt shares with the last call is not computed again.
        """
        return self._run(prompt, _options(options), None)

    def stream(self, prompt: Prompt, **options: Any) -> TextStream:
        """As generate(), piece by piece: iterate over the text as it becomes final.

        Leaving the loop ends generation; .result is the Generation when it is done.
        """
        chosen = _options(options)
        return TextStream(lambda on_text: self._run(prompt, chosen, on_text))

    def chat(self, messages: Messages, **options: Any) -> Generation:
        """Answers the last of [{"role": ..., "content": ...}, ...] by the model's chat template."""
        return Generation(**self._native.chat(_pairs(messages), _options(options), None))

    def stream_chat(self, messages: Messages, **options: Any) -> TextStream:
        """As chat(), piece by piece."""
        pairs, chosen = _pairs(messages), _options(options)
        return TextStream(lambda on_text: Generation(**self._native.chat(pairs, chosen, on_text)))

    def render_chat(self, messages: Messages) -> str:
        """The prompt that chat() uses."""
        return self._native.render_chat(_pairs(messages))

    @property
    def has_chat_template(self) -> bool:
        """Whether chat() has a template to go by."""
        return self._native.has_chat_template

    def logits(self, tokens: ArrayLike, *, last_only: bool = False) -> NDArray[np.float32]:
        """Logits (tokens, vocabulary) of every token; (1, vocabulary) with `last_only`."""
        return self._native.logits(_token_ids(tokens), last_only)

    def _run(
        self, prompt: Prompt, options: dict[str, Any], on_text: Callable[[str], bool] | None
    ) -> Generation:
        if isinstance(prompt, str):
            return Generation(**self._native.generate_text(prompt, options, on_text))
        return Generation(**self._native.generate_tokens(_token_ids(prompt), options, on_text))


class _Generating:
    """A generation in a thread of its own, which keeps this object alive, not the stream."""

    def __init__(self, run: Callable[[Callable[[str], bool]], Generation]) -> None:
        self.pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.closed = threading.Event()
        self.failure: BaseException | None = None
        self.result: Generation | None = None
        self.thread = threading.Thread(target=self._work, args=(run,), daemon=True)
        self.thread.start()

    def _work(self, run: Callable[[Callable[[str], bool]], Generation]) -> None:
        try:
            self.result = run(self._on_text)
        except BaseException as error:  # handed to whoever iterates
            self.failure = error
        self.pieces.put(None)

    def _on_text(self, piece: str) -> bool:
        self.pieces.put(piece)
        return not self.closed.is_set()

    def stop(self) -> None:
        self.closed.set()
        if threading.current_thread() is not self.thread:
            self.thread.join()


class TextStream(Iterator[str]):
    """The pieces of an answer: whole characters, in order.

    Use it in a `for` loop, or as a context manager where the loop may be left early; generation
    also ends when the stream is no longer referred to.
    """

    def __init__(self, run: Callable[[Callable[[str], bool]], Generation]) -> None:
        self._work = _Generating(run)
        # At exit too: a thread must not be at work while the interpreter goes.
        weakref.finalize(self, self._work.stop)

    def __next__(self) -> str:
        work = self._work
        piece = None if work.closed.is_set() else work.pieces.get()
        if piece is not None:
            return piece
        self.close()
        if work.failure is not None:
            failure, work.failure = work.failure, None
            raise failure
        raise StopIteration

    @property
    def result(self) -> Generation:
        """The whole answer; waits for its end. After close(), what there was until then."""
        self._work.thread.join()
        if self._work.result is None:
            raise InvalidArgumentError("generation failed: there is no result")
        return self._work.result

    def close(self) -> None:
        """Ends generation, at the latest with the next piece, and waits for that."""
        self._work.stop()

    def __enter__(self) -> TextStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def load(
    source: StrPath,
    *,
    precision: str = "bf16",
    context_length: int = 0,
    threads: int = 0,
    revision: str | None = None,
) -> Model:
    """Loads a model folder (or hub name) into the native engine.

    precision: of the matrix products, "bf16" (relative error up to 2e-3) or "f32" (1e-5).
    context_length: most tokens of prompt and answer; 0: what the model was made for. threads 0:
    one per processor. The weights stay in the mapped files.

    Raises NotFoundError, CorruptDataError, UnsupportedError (an architecture, quantisation or
    tokenizer that is not known), InvalidArgumentError.
    """
    folder = local_folder(source, revision=revision)
    return Model(folder, precision=precision, context_length=context_length, threads=threads)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(_OPTIONS))
    if unknown:
        raise TypeError(f"unknown options {unknown}, expected some of {sorted(_OPTIONS)}")
    chosen = {**_OPTIONS, **given}
    stop = chosen["stop"]
    chosen["stop"] = [stop] if isinstance(stop, str) else list(stop)
    return chosen


def _pairs(messages: Messages) -> list[tuple[str, str]]:
    try:
        return [(message["role"], message["content"]) for message in messages]
    except (KeyError, TypeError) as error:
        raise InvalidArgumentError(
            "messages, expected a list of {'role': ..., 'content': ...}"
        ) from error


def _token_ids(tokens: ArrayLike) -> NDArray[np.int32]:
    ids = np.asarray(tokens)
    if ids.ndim != 1 or (ids.size > 0 and ids.dtype.kind not in "iu"):
        raise InvalidArgumentError(
            f"tokens of shape {ids.shape} and {ids.dtype}, expected a list of token ids"
        )
    if ids.size > 0 and (int(ids.min()) < 0 or int(ids.max()) > np.iinfo(np.int32).max):
        raise InvalidArgumentError(f"token ids from {ids.min()} to {ids.max()}: out of range")
    return np.ascontiguousarray(ids, np.int32)
