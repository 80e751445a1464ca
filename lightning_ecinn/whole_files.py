"""Writing files so that a final name always means a whole file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["WriteError", "write_whole"]


class WriteError(OSError):
    """A file could not be written; the one that was there before, if any, still is.

    Its text is one sentence that names the file.
    """

    def __init__(self, path: Path, error: OSError):
        super().__init__(error.errno, error.strerror or str(error), str(path))

    def __reduce__(self) -> tuple[Any, ...]:
        """As other processes get it."""
        return WriteError, (Path(self.filename), OSError(self.errno, self.strerror))

    def __str__(self) -> str:
        return f"{self.filename} could not be written: {self.strerror}."


@contextmanager
def write_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write into, which gets its name when everything is in it, in one step.

    Until then it lies beside its final place under one name, so that whatever a killed process
    leaves there is overwritten by the next. Folders above it are made.

    Args:
        path: the final place; what lies there is replaced.

    Raises:
        WriteError: the folder or the file can't be written, or the disk is full; nothing of the
            new file is left.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        cause = _reason(error, part, path)
        if cause is None:
            raise
        raise WriteError(path, cause) from None


def _reason(error: BaseException | None, part: Path, path: Path) -> OSError | None:
    """Why the file could not be written, perhaps hidden: torch says something else of it."""
    ours = {None, str(part), str(path), str(path.parent)}
    while error is not None:
        if isinstance(error, OSError) and not isinstance(error, WriteError):
            name = error.filename
            if name is None or str(name) in ours:
                return error
        error = error.__context__
    return None
