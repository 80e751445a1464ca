"""Files below a folder, or in a zip archive that is read in place."""

from __future__ import annotations

import copy
import errno
import os
import posixpath
import threading
from pathlib import Path
from stat import S_ISREG
from typing import IO, Protocol
from zipfile import ZipFile, ZipInfo, is_zipfile

from lightning_ecinn.datamodules.checks import DataNotFoundError
from lightning_ecinn.pictures.limits import MOST_BYTES, check_bytes
from lightning_ecinn.plain_text import plain, short

__all__ = ["Archive", "Files", "Folder", "open_files", "some"]

_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class Files(Protocol):
    """Named files; names have forward slashes, and `read` may be called from many threads."""

    @property
    def identity(self) -> str:
        """Where the files are, if their stamps alone don't tell them from others."""

    def stamp(self, name: str) -> str | None:
        """Return what changes with the content of the file `name`; None: there is no such file."""

    def read(self, name: str) -> bytes:
        """Return the content of the file `name`; a ValueError if it is too large or damaged."""

    def within(self, folder: str) -> list[str]:
        """Return the names, not their paths, of what is directly in `folder`; "" is the top."""


class Folder:
    """Files below a folder; a stamp is size and time of the last change.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def identity(self) -> str:
        """The folder's absolute path: files elsewhere may have the same sizes and times."""
        return str(self.path.resolve())

    def stamp(self, name: str) -> str | None:
        """Return size and time of the last change."""
        try:
            status = os.stat(os.path.join(self.path, name))
        except OSError as error:
            if error.errno in _NO_SUCH_FILE:
                return None
            raise
        except ValueError:  # no file's name has a NUL
            return None
        return f"{status.st_size} {status.st_mtime_ns}" if S_ISREG(status.st_mode) else None

    def read(self, name: str) -> bytes:
        """Return the content of a file; raises ValueError if it is too large."""
        with (self.path / name).open("rb") as file:
            check_bytes(os.fstat(file.fileno()).st_size)
            return file.read(MOST_BYTES)

    def within(self, folder: str) -> list[str]:
        """Return the names directly in `folder`, none if it is missing."""
        path = self.path / folder
        return sorted(entry.name for entry in os.scandir(path)) if path.is_dir() else []


class Archive:
    """Files in a zip archive, read in place; a stamp is size and checksum.

    One handle serves all threads of a process: `ZipFile` locks each read, and never closes a file
    that it was handed open. A forked process opens its own, because it would share the position in
    the file.

    Args:
        path: the archive.
    """

    identity = ""  # checksums tell files apart wherever they are

    def __init__(self, path: Path) -> None:
        self.path = path
        self.prefix = ""
        self._lock = threading.Lock()
        self._process: int | None = None
        self._open: ZipFile
        self._entries: dict[str, ZipInfo]

    def __str__(self) -> str:
        return plain(f"{self.path}/{self.prefix}".rstrip("/"))

    def below(self, folder: str) -> Archive:
        """Return the same archive with names that begin below a folder of it."""
        other = copy.copy(self)
        other.prefix = f"{self.prefix}{folder}/"
        return other

    def stamp(self, name: str) -> str | None:
        """Return size and checksum."""
        entry = self._opened()[1].get(self.prefix + name)
        return None if entry is None else f"{entry.file_size} {entry.CRC:08x}"

    def read(self, name: str) -> bytes:
        """Return the content of a file; raises ValueError if it is too large or damaged."""
        archive, entries = self._opened()
        entry = entries[self.prefix + name]
        check_bytes(entry.file_size)
        try:
            with archive.open(entry) as file:
                return _unpacked(file)
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):  # of the disk, not of the archive
                raise
            raise ValueError(f"its part of the archive is damaged ({short(error)})") from None
        except Exception as error:  # a wrong checksum, a password, an unknown compression, ...
            raise ValueError(short(error, 300) or type(error).__name__) from None

    def within(self, folder: str) -> list[str]:
        """Return the names directly in `folder`."""
        start = self.prefix + (folder.strip("/") + "/" if folder else "")
        inside = (name[len(start) :] for name in self._opened()[1] if name.startswith(start))
        return sorted({name.split("/")[0] for name in inside} - {""})

    def _opened(self) -> tuple[ZipFile, dict[str, ZipInfo]]:
        """This process's handle, and the files by their names."""
        with self._lock:
            if self._process != os.getpid():
                file = self.path.open("rb")
                try:
                    self._open = ZipFile(file)
                except Exception as error:  # headers can be wrong in every way
                    file.close()
                    raise ValueError(_DAMAGED.format(path=self.path, error=short(error))) from None
                self._entries = _named(self._open)
                self._process = os.getpid()
            return self._open, self._entries


_DAMAGED = (
    "{path} is no zip archive that can be read ({error}): it is damaged or its download broke off; "
    "fetch it again."
)


def _named(archive: ZipFile) -> dict[str, ZipInfo]:
    """Files by the names that a folder would give them; some packers' slashes are backslashes."""
    entries = [entry for entry in archive.infolist() if not entry.filename.endswith(("/", "\\"))]
    named = {posixpath.normpath(entry.filename): entry for entry in entries}
    for entry in entries:
        named.setdefault(posixpath.normpath(entry.filename.replace("\\", "/")), entry)
    return named


def _unpacked(file: IO[bytes]) -> bytes:
    """Unpack a file that may be larger than it claims, in steps that cannot explode."""
    parts, number = [], 0
    while part := file.read(4096):
        parts.append(part)
        number += len(part)
        check_bytes(number)
    return b"".join(parts)


def open_files(path: Path) -> Folder | Archive:
    """Open a folder or a zip archive.

    Raises:
        DataNotFoundError: there is neither.
        ValueError: it is a file, but no zip archive.
    """
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise DataNotFoundError(
            f"There is no folder and no zip archive {path}; {_neighbours(path)}."
        )
    if not is_zipfile(path):
        raise ValueError(_DAMAGED.format(path=path, error="its directory is missing"))
    return Archive(path)


def some(names: list[str], limit: int = 3) -> str:
    """Return a few of many names: "a.jpg, b.jpg, c.jpg, ... (17 in all)"."""
    shown = ", ".join(short(name, 80) for name in names[:limit]) or "nothing"
    return shown if len(names) <= limit else f"{shown}, ... ({len(names):,} in all)"


def _neighbours(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"{parent} does not exist either"
    return f"{parent} holds {some(Folder(parent).within(''), 8)}"
