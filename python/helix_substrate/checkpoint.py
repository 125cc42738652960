"""Whole checkpoints: compress, decompress, inspect, verify."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helix_substrate import _native
from helix_substrate.codec import Metrics
from helix_substrate.errors import InvalidArgumentError
from helix_substrate.hub import StrPath, local_folder
from helix_substrate.progress import ProgressBar, log

_SHARD_BYTES = 5_000_000_000


@dataclass(frozen=True)
class PlannedTensor:
    """What compress() would do with one tensor of the source, and why."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored_bytes: int
    action: str
    """"compress", "exact" (copied bit for bit) or "skip" (tied to another tensor)."""
    reason: str
    codebook_size: int | None


@dataclass(frozen=True)
class DecompressSummary:
    """What decompress() wrote."""

    module_count: int
    exact_count: int
    file_bytes: int
    dtype: str


@dataclass(frozen=True)
class InspectedTensor:
    """A compressed module or an exact tensor of a checkpoint."""

    name: str
    compressed: bool
    ignored: bool
    """A key that readers pass over."""
    overruled: bool
    """Compressed, but the file holds the exact tensor too, which counts."""
    dtype: str
    shape: tuple[int, ...]
    stored_bytes: int
    codebook_size: int
    vector_size: int
    indices: str
    """ "u8", "12-bit" or "u16"."""
    outlier_count: int
    svd_rank: int
    channel_scales: bool
    bits_per_weight: float


@dataclass(frozen=True)
class Inspection:
    """What a checkpoint, dense or HXQ, holds."""

    model_type: str
    quant_method: str
    """Empty for a dense checkpoint."""
    tensors: tuple[InspectedTensor, ...]
    key_count: int
    file_bytes: int
    file_count: int


@dataclass(frozen=True)
class VerifyReport:
    """What verify() found; `problems` is empty for a sound checkpoint."""

    problems: tuple[tuple[str, str], ...]
    """Kind ("hash", "content", ...) and message."""
    has_receipt: bool
    module_count: int
    exact_count: int
    modules: Mapping[str, Metrics]
    """By module; empty without `against`."""
    totals: Metrics | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def compress(
    source: StrPath,
    destination: StrPath,
    *,
    codebook_size: int = 256,
    codebook_sizes: Mapping[str, int] | None = None,
    outliers: str | int | float = "auto",
    column_scales: str = "auto",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    embeddings: bool = False,
    lm_head: bool = False,
    copy_code: bool = False,
    strict: bool = False,
    resume: bool = False,
    force: bool = False,
    shard_bytes: int = _SHARD_BYTES,
    threads: int = 0,
    revision: str | None = None,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Writes the HXQ checkpoint `destination` of a model; returns its receipt.

    `source` is a Hugging Face folder or a hub name ("owner/name", `revision`). The linear layers
    are compressed, everything else stays bit for bit as it is. `destination` appears complete or
    not at all; an interrupted run is continued with `resume`.

    codebook_size, outliers, column_scales: as for encode(). codebook_sizes: by glob over module
    names, the last that matches counts. include, exclude: globs. embeddings, lm_head: compress
    those too. strict: refuse weights that are not finite instead of keeping their tensor exact.
    force: replace a model folder that is there. copy_code: copy *.py. threads 0: one per processor.
    progress None: a bar where standard error is a terminal. Ctrl-C stops the work cleanly.
    Warnings go to the logger `helix_substrate`.

    Raises InvalidArgumentError, NotFoundError, CorruptDataError, UnsupportedError (already
    quantised, ...), IoError.
    """
    options = _compress_options(**_without(locals(), "source", "destination", "progress"))
    folder = local_folder(source, revision=revision)
    options["command"] = ["helix_substrate.compress", _printable(source), _printable(destination)]
    with ProgressBar(progress, "compress") as bar:
        receipt = _native.compress(folder, Path(destination), options, bar.callback, log)
    return json.loads(receipt)


def plan(source: StrPath, *, revision: str | None = None, **options: Any) -> list[PlannedTensor]:
    """What compress() with the same options would do with each tensor; reads no weights."""
    chosen = _compress_options(**options)
    rows = _native.plan(local_folder(source, revision=revision), chosen, log)
    return [PlannedTensor(**row) for row in rows]


def decompress(
    source: StrPath,
    destination: StrPath,
    *,
    dtype: str = "",
    copy_code: bool = False,
    force: bool = False,
    shard_bytes: int = _SHARD_BYTES,
    threads: int = 0,
    revision: str | None = None,
    progress: bool | None = None,
) -> DecompressSummary:
    """Writes the dense checkpoint of an HXQ one.

    dtype of the decoded matrices: "f32", "f16" or "bf16"; default: the model's. The other options
    are those of compress(). Raises as well UnsupportedError where a weight is beyond the range of
    the dtype.
    """
    folder = local_folder(source, revision=revision)
    with ProgressBar(progress, "decompress") as bar:
        summary = _native.decompress(
            folder,
            Path(destination),
            dtype=dtype,
            copy_code=copy_code,
            force=force,
            shard_bytes=shard_bytes,
            threads=threads,
            progress=bar.callback,
            log=log,
        )
    return DecompressSummary(**summary)


def inspect(source: StrPath, *, revision: str | None = None) -> Inspection:
    """What a checkpoint, dense or HXQ, holds; reads headers and small tensors only."""
    found = _native.inspect(local_folder(source, revision=revision), log)
    found["tensors"] = tuple(InspectedTensor(**tensor) for tensor in found["tensors"])
    return Inspection(**found)


def verify(
    source: StrPath,
    *,
    against: StrPath | None = None,
    threads: int = 0,
    progress: bool | None = None,
) -> VerifyReport:
    """Checks an HXQ checkpoint: hashes, every module's content, completeness, the key count.

    against: the dense checkpoint it was made from; the metrics are then measured again. What is
    wrong inside is returned; a container that cannot be opened at all raises.
    """
    dense = "" if against is None else local_folder(against)
    with ProgressBar(progress, "verify") as bar:
        report = _native.verify(local_folder(source), dense, threads, bar.callback, log)
    report["problems"] = tuple(report["problems"])
    report["modules"] = {name: Metrics(**found) for name, found in report["modules"].items()}
    report["totals"] = report["totals"] and Metrics(**report["totals"])
    return VerifyReport(**report)


def _printable(path: StrPath) -> str:
    return os.fsencode(path).decode(errors="replace")


def _without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _compress_options(
    codebook_size: int = 256,
    codebook_sizes: Mapping[str, int] | None = None,
    outliers: str | int | float = "auto",
    column_scales: str = "auto",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    embeddings: bool = False,
    lm_head: bool = False,
    copy_code: bool = False,
    strict: bool = False,
    resume: bool = False,
    force: bool = False,
    shard_bytes: int = _SHARD_BYTES,
    threads: int = 0,
    revision: str | None = None,
) -> dict[str, Any]:
    """The options of compress() as the compiled module takes them."""
    options = dict(locals())
    del options["revision"]
    for name in ("include", "exclude"):
        if isinstance(options[name], str):
            raise InvalidArgumentError(f"{name} is one string, expected a list of globs")
        options[name] = list(options[name])
    options["codebook_sizes"] = list((codebook_sizes or {}).items())
    options["command"] = ["helix_substrate.plan"]
    return options
