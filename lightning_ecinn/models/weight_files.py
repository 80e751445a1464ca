"""Files that torch.save should have written: what they are instead, and whether they are whole.

Nothing is unpickled here, and nothing is unpacked: sizes are compared with the file's own.
"""

from __future__ import annotations

import codecs
import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint

from lightning_ecinn.plain_text import plain

__all__ = ["describe_content", "describe_file", "some_names", "why_not_loaded"]

_BEFORE_ZIP = b"l\xfc\x9cF\xf9 j\xa8P\x19."
"""What torch.save began its files with before 1.6, after the pickle's own first bytes."""
_BEGINNINGS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS, not the file: run `git lfs pull`"),
    (b"\x80", "it is a pickle of Python objects, which could run code when it is loaded"),
    (b"\x93NUMPY", "it is an array of numpy"),
    (b"\x89HDF", "it is an HDF5 file"),
    (b"\x1f\x8b", "it is compressed by gzip"),
)
_TORN = "it is damaged: its end is missing, as after a copy or a download that broke off"


def describe_file(path: Path) -> str | None:
    """Say what a file is, such as "it is text", or how it is damaged.

    Returns:
        None for a file that torch.save wrote, whose checksums are right.
    """
    with path.open("rb") as file:
        start = file.read(1024)
    if start.startswith(b"PK"):
        return _archive(path)
    if _BEFORE_ZIP in start[:32]:
        return _BOMB if _mentions_bomb(path) else None
    if not start:
        return "it is empty"
    if start[8:10] == b'{"' and not any(start[4:8]):
        return "it is in the format of safetensors"
    words = next((words for beginning, words in _BEGINNINGS if start.startswith(beginning)), None)
    return words or ("it is text" if _is_text(start) else "nothing in it is known")


def describe_content(content: Any) -> str:
    """Say what is in a file that holds no model of ours, such as "it holds a list"."""
    if not isinstance(content, dict):
        return f"it holds {'a tensor' if isinstance(content, Tensor) else _a_type(content)}"
    if {"inn", "mu", "phi"} <= content.keys():
        return "it is one of the published IB-INN code, which `import-ibinn` reads"
    if "pytorch-lightning_version" in content:
        return "it is a Lightning checkpoint of another model"
    alone = "weights alone: " if all(isinstance(v, Tensor) for v in content.values()) else ""
    return f"it holds {alone if content else ''}{some_names(content)}"


def why_not_loaded(path: Path) -> str:
    """Say why a file that torch.save wrote could not be read as weights and plain values."""
    try:
        found = some_names(sorted(get_unsafe_globals_in_checkpoint(path)))
    except Exception:  # of files from before zip, and of damaged ones
        found = "nothing"
    objects, danger = "objects of Python", "which could run code when they are loaded"
    if found == "nothing":
        return f"it is damaged, or it holds {objects}, {danger}"
    return f"it holds {objects} ({found}), {danger}"


def some_names(names: Iterable[Any], limit: int = 3) -> str:
    """The first names of many: "a, b, c, ..."."""
    listed = [str(name) for name in names]
    shown = ", ".join(name if len(name) <= 60 else f"{name[:60]}..." for name in listed[:limit])
    return plain(shown + (", ..." if len(listed) > limit else "")) or "nothing"


def _a_type(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _is_text(start: bytes) -> bool:
    encoding = "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
    try:  # incremental: the last character may be cut
        return "\0" not in codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return False


def _archive(path: Path) -> str | None:
    try:
        with ZipFile(path) as archive:
            entries = archive.infolist()
            return _other_archive(entries) or _damage(archive, entries, path.stat().st_size)
    except (BadZipFile, EOFError):
        return _TORN
    except Exception:  # whatever zipfile raises for a damaged directory
        return "it is damaged: it is a zip archive whose directory makes no sense"


def _other_archive(entries: list[ZipInfo]) -> str | None:
    names = [entry.filename for entry in entries]
    if any(name.endswith("/constants.pkl") for name in names):
        return "it is a program of TorchScript"
    if any(name.endswith("/models/model.json") for name in names):
        return "it is a program of torch.export, such as `export` writes"
    if not any(name.endswith("/data.pkl") for name in names):
        kind = "an archive of numpy" if names and names[0].endswith(".npy") else "a zip archive"
        return f"it is {kind} of {some_names(names)}"
    return None


def _damage(archive: ZipFile, entries: list[ZipInfo], size: int) -> str | None:
    """Compare sizes and checksums, which torch does not."""
    packed = any(entry.compress_type != ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > size:
        return "it is packed into less than its size, which torch.save never does: unpack it first"
    for entry in entries:
        try:
            if entry.filename.endswith("/data.pkl") and _BOMB_NAME in _most(archive, entry):
                return _BOMB
            _check_sum(archive, entry)
        except BadZipFile:
            return f"it is damaged: the checksum of its part {plain(entry.filename)} is wrong"
    return None


def _most(archive: ZipFile, entry: ZipInfo) -> bytes:
    """All but the last byte, after which zipfile looks at the checksum."""
    with archive.open(entry) as file:
        return file.read(entry.file_size - 1)


def _check_sum(archive: ZipFile, entry: ZipInfo) -> None:
    """Raise BadZipFile if it is wrong; 344 MB take 0.15 s, and torch.load 0.3 s."""
    if entry.CRC:  # torch.serialization.set_crc32_options leaves them out
        with archive.open(entry) as file:
            while file.read(2**20):
                pass


_BOMB_NAME = b"bytearray\n"
_BOMB = "it holds a bytearray, of which a few bytes can fill the memory"
"""The one thing torch allows that makes much of little: bytearray(10**12)."""


def _mentions_bomb(path: Path) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_BOMB_NAME) >= 0
