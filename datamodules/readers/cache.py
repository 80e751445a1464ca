"""Pictures decoded once into a file, which every process then maps into its memory."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from filelock import FileLock, Timeout
from platformdirs import user_cache_path
from torch import Tensor

from lightning_ecinn.datamodules.checks import DataNotFoundError
from lightning_ecinn.datamodules.readers.files import Files
from lightning_ecinn.pictures.decode import decode
from lightning_ecinn.plain_text import short
from lightning_ecinn.progress import progress_bar

__all__ = ["CachedImages", "Format", "cached_images", "default_folder"]

_VERSION = 1
"""Part of every key: raise it when decoding changes."""
_ABOUT, _IMAGES = "about.json", "images.npy"
_NONE_THERE = (
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError, EOFError),
    *(ValueError, KeyError, TypeError, AttributeError, RecursionError),  # of damaged ones
)


@dataclass(frozen=True)
class Format:
    """What pictures are turned into; see `decode`."""

    size: int
    channels: int
    crop: bool = True


@dataclass(frozen=True)
class CachedImages:
    """The pictures of a cache.

    Attributes:
        images: (N, C, H, W) uint8, mapped from the file; black where a picture is unreadable.
        unreadable: index of each unreadable picture, and what is wrong with it.
        place: folder of the cache.
    """

    images: Tensor
    unreadable: dict[int, str]
    place: Path


def default_folder() -> Path:
    """Return $XDG_CACHE_HOME/lightning_ecinn or ~/.cache/lightning_ecinn on Linux.

    Elsewhere it is in the system's own folder for caches of the user.
    """
    return user_cache_path("lightning_ecinn", appauthor=False)


def cached_images(
    files: Files, names: Sequence[str], form: Format, folder: Path, title: str
) -> CachedImages:
    """Return pictures from their cache, which is made if it is not there.

    A cache belongs to these names, sizes and times of change (checksums in an archive) and this
    format; anything else gets a cache of its own. It is complete as soon as it has its name, and
    one process makes it while the others wait. It is never changed: one that is damaged, as its
    checksums tell, is replaced by a new one. Caches may be deleted at any time.

    Args:
        files: where the pictures are.
        names: the pictures, each of which is there.
        form: what they are turned into.
        folder: where caches lie.
        title: begins the cache's name.

    Raises:
        ValueError: the cache cannot be written, or not one picture can be read.
        DataNotFoundError: a file cannot be read from its disk.
    """
    place = folder / f"{title}-{form.size}-{_key(files, names, form)}"
    with _usable(folder):
        found = _open(place, names, form)
        if found is None:
            with _exclusive(place):
                found = _open(place, names, form)  # perhaps another process has just made it
                if found is None:
                    _make(place, files, names, form)
                    found = _open(place, names, form)
    if found is None:
        raise ValueError(f"The cache {place} cannot be read back: give another `cache` folder.")
    return found


def _key(files: Files, names: Sequence[str], form: Format) -> str:
    state = hashlib.sha256(repr((_VERSION, files.identity, asdict(form))).encode())
    for name in names:
        state.update(f"\n{name}\t{files.stamp(name)}".encode())
    return state.hexdigest()[:16]


def _open(place: Path, names: Sequence[str], form: Format) -> CachedImages | None:
    """Map a cache; None where there is none, or what is there is damaged or of an earlier version.

    The images are read once for their checksum, at more than 1 GB/s from memory, which also brings
    them there. A file that is cut off must not be mapped: whoever reads beyond its end is killed.
    """
    try:
        about = json.loads((place / _ABOUT).read_text(encoding="utf-8"))
        sums = about.pop("checksums")
        with (place / _IMAGES).open("rb") as file:
            if sums != {"about": _text_sum(about), "images": _sum(file)}:
                return None
        # Copy on write: torch wants writable memory, and nothing ever reaches the file.
        pixels = np.load(place / _IMAGES, mmap_mode="c")
        unreadable = {int(index): why for index, why in about["unreadable"].items()}
    except _NONE_THERE:
        return None
    if pixels.shape != _shape(names, form) or pixels.dtype != np.uint8:
        return None
    return CachedImages(torch.from_numpy(pixels), unreadable, place)


def _shape(names: Sequence[str], form: Format) -> tuple[int, int, int, int]:
    return len(names), form.channels, form.size, form.size


def _sum(file: BinaryIO) -> int:
    """Return the checksum of a file from here on."""
    state = 0
    while part := file.read(2**20):
        state = zlib.crc32(part, state)
    return state


def _text_sum(about: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())


def _make(place: Path, files: Files, names: Sequence[str], form: Format) -> None:
    """Write a cache under another name, then give it its own."""
    for leftover in [place, *place.parent.glob(f"{place.name}.part-*")]:
        shutil.rmtree(leftover, ignore_errors=True)  # damaged, or of a process that was killed
    _check_space(place.parent, len(names) * form.channels * form.size**2)
    part = place.with_name(f"{place.name}.part-{os.getpid()}")
    part.mkdir()
    try:
        with (part / _IMAGES).open("w+b") as out:
            unreadable = _write_pixels(out, files, names, form)
            out.flush()
            os.fsync(out.fileno())
            out.seek(0)
            image_sum = _sum(out)
        if len(unreadable) == len(names):
            raise ValueError(
                f"None of {len(names):,} pictures in {files} can be read; of {names[0]}, Pillow "
                f"says: {unreadable[0]}."
            )
        named = {str(index): why for index, why in unreadable.items()}
        about: dict[str, Any] = {"files": str(files), "format": asdict(form), "unreadable": named}
        about["checksums"] = {"about": _text_sum(about), "images": image_sum}
        (part / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        part.rename(place)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _write_pixels(
    out: BinaryIO, files: Files, names: Sequence[str], form: Format
) -> dict[int, str]:
    """Decode in parallel (Pillow frees the interpreter), write in order; return what failed."""
    header = {"descr": "|u1", "fortran_order": False, "shape": _shape(names, form)}
    np.lib.format.write_array_header_1_0(out, header)
    black, unreadable = bytes(form.channels * form.size**2), {}
    for index, pixels in enumerate(_decoded(files, names, form)):
        if isinstance(pixels, str):
            unreadable[index] = pixels
        out.write(black if isinstance(pixels, str) else pixels)
    return unreadable


def _decoded(files: Files, names: Sequence[str], form: Format) -> Iterator[bytes | str]:
    """Yield each picture's bytes, or what is wrong with it."""

    def work(name: str) -> bytes | str:
        try:
            content = files.read(name)
        except OSError as error:  # of the disk, not of the picture
            raise DataNotFoundError(f"{name} in {files} cannot be read ({error}).") from None
        except Exception as error:  # of an archive: a wrong checksum, an unknown compression, ...
            return _few_words(error)
        try:
            return decode(content, form.size, form.channels, form.crop).tobytes()
        except MemoryError:  # not of the picture
            raise
        except Exception as error:  # decoders raise all sorts of things for damaged files
            return _few_words(error)

    pool = ThreadPoolExecutor(_cpus())
    try:
        results = pool.map(work, names)
        title = f"Preparing images at {form.size} x {form.size}, once"
        yield from progress_bar(results, title, total=len(names), unit=" images")
    finally:
        pool.shutdown(cancel_futures=True)


def _cpus() -> int:
    """The processors that this process may use, fewer than there are on a shared machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _few_words(error: Exception) -> str:
    return short(error) or type(error).__name__


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Make the folder, and say in one sentence what is wrong with it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except DataNotFoundError:  # a picture's, not the folder's
        raise
    except (OSError, NotImplementedError) as error:  # older filelocks: there are no locks here
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"Decoded images cannot be kept in {folder} ({reason}): give the data another folder "
            "for them, such as --data.cache /scratch/cache."
        ) from None


@contextmanager
def _exclusive(place: Path) -> Iterator[None]:
    """Hold the lock of a cache; the system frees it when the process ends, however it ends."""
    lock = FileLock(place.with_name(f"{place.name}.lock"))
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        print(f"Waiting for another process, which is making {place}", file=sys.stderr)
        held = lock.acquire()
    with held:
        yield
