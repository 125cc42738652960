"""Progress bars and log messages of long work."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Any

logger = logging.getLogger("helix_substrate")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING}


def log(level: str, message: str) -> None:
    """What the library has to say, to the logger `helix_substrate`."""
    logger.log(_LEVELS[level], "%s", message)


class ProgressBar:
    """A tqdm bar on standard error, made when the first news comes.

    `show` None: only where standard error is a terminal. Without tqdm there is none.
    """

    def __init__(self, show: bool | None, title: str) -> None:
        self._title = title
        self._stage = ""
        self._bar: Any = None
        self._tqdm: Any = _tqdm() if (_is_terminal() if show is None else show) else None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    @property
    def callback(self) -> Any:
        """The function to hand to the compiled module; None where nothing is shown."""
        return None if self._tqdm is None else self._update

    def _update(self, stage: str, item: str, done: int, total: int, unit: str) -> None:
        if self._bar is None or stage != self._stage:
            self._close()
            self._stage = stage
            self._bar = self._tqdm(
                total=total,
                desc=f"{self._title}: {stage}" if stage != self._title else stage,
                unit=unit if unit == "B" else f" {unit}",
                unit_scale=True,
                unit_divisor=1000,
                file=sys.stderr,
            )
        self._bar.total = total
        self._bar.set_postfix_str(item, refresh=False)
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm
