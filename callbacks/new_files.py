"""Files that never take the place of another one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lightning_ecinn.whole_files import WriteError, write_whole

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["find_free_path", "save_new", "save_new_text"]


def save_new(path: Path, write: Callable[[IO[bytes]], object]) -> Path:
    """Write a whole file under its name or, if that is taken, with -2, -3, ... before the suffix.

    Processes that write into the same folder wait for each other, so that none takes the name of
    another's file.

    Args:
        path: the name that is wished for.
        write: gets the open file.

    Returns:
        Where it lies.

    Raises:
        WriteError: it can't be written; nothing of it is left.
    """
    with _alone_in(path):
        free = find_free_path(path)
        with write_whole(free) as file:
            write(file)
    return free


def save_new_text(path: Path, text: str) -> Path:
    """:func:`save_new` of a text, in UTF-8."""
    return save_new(path, lambda file: file.write(text.encode("utf-8", "backslashreplace")))


def find_free_path(path: Path) -> Path:
    """The path itself, or with -2, -3, ... before its suffix if it is taken."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return candidate


@contextmanager
def _alone_in(path: Path) -> Iterator[None]:
    """No other process does this for a file of the same folder at the same time.

    The folder itself is locked: no lock file is left, and a killed process holds nothing. Where
    there are no such locks (Windows, some network drives) nobody waits.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY) if fcntl else None
    except OSError as error:
        raise WriteError(path, error) from None
    try:
        if folder is not None:
            with suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        if folder is not None:
            os.close(folder)
