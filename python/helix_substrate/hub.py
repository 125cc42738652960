"""Models by name from a Hugging Face hub ($HF_ENDPOINT), through huggingface_hub and its cache."""

from __future__ import annotations

import os
from pathlib import Path

from helix_substrate.errors import InvalidArgumentError, IoError, NotFoundError

StrPath = str | os.PathLike[str]

# Weights in other formats, and code, are of no use here.
FETCHED = [
    "*.safetensors",
    "*.json",
    "*.jinja",
    "*.model",
    "*.txt",
    "*.md",
    "LICENSE*",
    "*.tiktoken",
]


def local_folder(source: StrPath, *, revision: str | None = None) -> Path:
    """The folder `source`; where there is none of this name, the hub's model `owner/name`.

    Raises NotFoundError where neither exists, InvalidArgumentError for a revision of a folder,
    IoError where the hub cannot be reached.
    """
    folder = Path(source)
    if str(source) and folder.exists():
        if revision is not None:
            raise InvalidArgumentError(f"{folder}: a revision was asked for, but it is a folder")
        return folder
    if not _looks_like_hub_name(source):
        raise NotFoundError(f"{str(source)!r}: no such folder")
    return _fetch(str(source), revision)


def _looks_like_hub_name(source: StrPath) -> bool:
    if not isinstance(source, str) or source.startswith((".", "/", "~")):
        return False
    return source.count("/") <= 1 and "\\" not in source and bool(source)


def _fetch(name: str, revision: str | None) -> Path:
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise NotFoundError(
            f"{name}: no such folder, and models of the hub need huggingface_hub "
            '(pip install "helix-substrate[hf]")'
        ) from error
    try:
        found = huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=FETCHED)
    except errors.HFValidationError as error:
        raise NotFoundError(f"{name}: no such folder, and no name of a hub's model") from error
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.LocalEntryNotFoundError,
    ) as error:
        raise NotFoundError(f"{name}: no such folder, and not found on the hub: {error}") from error
    except (errors.HfHubHTTPError, OSError) as error:
        raise IoError(f"{name}: the hub could not be read: {error}") from error
    return Path(found)
