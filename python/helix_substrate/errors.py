"""What can go wrong: one exception for each code of the library (include/helix/error.h).

Every message names the file, tensor or argument, what was expected and what was found. Each class
is also the built-in exception that fits it best, so that `except ValueError` and the like work.
"""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "CorruptDataError",
    "DeviceError",
    "HelixError",
    "InternalError",
    "InvalidArgumentError",
    "IoError",
    "NotFoundError",
    "OutOfMemoryError",
    "UnsupportedError",
]


class HelixError(Exception):
    """Any fault that the library reports."""

    code: int = 9
    """Number of the library's error code; it never changes its meaning."""


class InvalidArgumentError(HelixError, ValueError):
    """The caller asked for something that makes no sense."""

    code = 1


class NotFoundError(HelixError, FileNotFoundError):
    """A file, tensor or module that should be there is not."""

    code = 2


class CorruptDataError(HelixError, ValueError):
    """A file breaks its format."""

    code = 3


class UnsupportedError(HelixError, NotImplementedError):
    """Well-formed, but nothing this version can work with."""

    code = 4


class IoError(HelixError, OSError):
    """The operating system failed to read or write."""

    code = 5


class OutOfMemoryError(HelixError, MemoryError):
    """There is not enough memory."""

    code = 6


class DeviceError(HelixError, RuntimeError):
    """An accelerator or its driver failed."""

    code = 7


class CancelledError(HelixError):
    """Stopped because the caller asked for it."""

    code = 8


class InternalError(HelixError, RuntimeError):
    """A fault of this library: please report it."""

    code = 9


ERROR_BY_CODE: dict[int, type[HelixError]] = {
    error.code: error
    for error in (
        InvalidArgumentError,
        NotFoundError,
        CorruptDataError,
        UnsupportedError,
        IoError,
        OutOfMemoryError,
        DeviceError,
        CancelledError,
        InternalError,
    )
}
