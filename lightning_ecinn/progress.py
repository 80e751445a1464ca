"""How far a long step is: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import TqdmWarning, tqdm

with warnings.catch_warnings():  # a notebook without widgets has lines instead
    warnings.filterwarnings("ignore", "IProgress not found", TqdmWarning)
    from tqdm import auto

__all__ = ["progress_bar"]

_SHARE, _LONGEST, _SHORTEST = 0.1, 300.0, 10.0
"""A line for each tenth or each five minutes, but at least 10 s apart: none for short steps."""

_BAR = [kind.__name__ for kind in auto.tqdm.mro()]
"""In a notebook, a widget."""


def progress_bar(
    iterable: Iterable[Any] | None = None,
    title: str | None = None,
    *,
    total: int | None = None,
    unit: str = "it",
    shown: bool = True,
    file: TextIO | None = None,
    delay: float = 0,
    initial: int = 0,
) -> tqdm:
    """Tqdm's bar where the output is a terminal, else lines with the same: done, rate, time left.

    Args:
        iterable: what is gone through; None where the caller counts by ``update``.
        title: what is going on.
        total: of what is counted, if it is known and the iterable has no length.
        unit: of what is counted; many of "images" are written as " images".
        shown: False for nothing at all.
        file: where it is written; by default to the standard error.
        delay: seconds until a bar appears.
        initial: what was done before.

    Example:
        >>> with progress_bar(total=3, title="drawing", unit=" images", shown=False) as bar:
        ...     bar.update(3)
        >>> list(progress_bar("abc", shown=False))
        ['a', 'b', 'c']
    """
    out = sys.stderr if file is None else file
    is_terminal = getattr(out, "isatty", bool)() or "tqdm_notebook" in _BAR
    kind = auto.tqdm if is_terminal or not shown else _Lines
    return kind(
        iterable, title, total,
        unit=unit, leave=False, file=out, mininterval=1.0, delay=delay, initial=initial,
        disable=not shown, dynamic_ncols=is_terminal,
    )  # fmt: skip


class _Lines(tqdm):
    """Whole lines at long intervals: no file or log gets thousands of halves of one."""

    disable: bool

    def __init__(self, *args: Any, **kwargs: Any):
        self._said, self._said_at = 0.0, time.monotonic()
        self._began = self._said_at
        super().__init__(*args, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Write a line, if it is time for one; the first and the last of a short step are not."""
        now = time.monotonic()
        waited = now - self._said_at
        is_next = self.total and self.n >= self._said + _SHARE * self.total
        if waited >= _SHORTEST and (is_next or waited >= _LONGEST or not self._said):
            self._said, self._said_at = self.n, now
            self.fp.write(f"{self._words()}\n")
            self.fp.flush()
        return True

    def _words(self) -> str:
        seconds = max(time.monotonic() - self._began, 1e-9)
        rate = (self.n - self.initial) / seconds
        title = f"{self.desc.rstrip(': ')}: " if self.desc else ""
        unit = self.unit if self.unit.startswith(" ") else f" {self.unit}"
        if not self.total:
            return f"{title}{self.n:,}{unit}, {rate:,.3g}{unit}/s"
        left = self.format_interval((self.total - self.n) / rate) if rate else "?"
        done = f"{self.n:,} of {self.total:,}{unit} ({self.n / self.total:.0%})"
        more = f", {self.postfix}" if self.postfix else ""
        return f"{title}{done}, {rate:,.3g}{unit}/s, {left} left{more}"

    def close(self) -> None:
        """Write nothing more."""
        if not getattr(self, "disable", True):
            self.disable: bool = True
            self._decr_instances(self)

    def clear(self, nolock: bool = False) -> None:
        """There is nothing to take back."""

    def moveto(self, n: int) -> None:
        """There are no other lines to move to."""
