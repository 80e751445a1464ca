"""Files that a user names, read so that they can never run code: weights, and arrays."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
import torch

from lightning_ecinn import shipped
from lightning_ecinn.models.weight_files import describe_content, describe_file, why_not_loaded
from lightning_ecinn.plain_text import plain

__all__ = ["archive_name", "check_entries", "read_archive", "read_weights"]

_PACKED_ANYWAY = 2**26
_MOST_PACKED = 100
"""How many times its size a file of arrays may unpack to, where that is much: pictures reach 10."""
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_weights(ckpt_path: str | PathLike[str], *, kind: str, remedy: str) -> Any:
    """What is in a file of weights, read with ``weights_only=True``, on the CPU.

    Args:
        ckpt_path: the file, or the name of a model that ships with the package.
        kind: what it should be, for the message.
        remedy: what to do where there is none, for the message.

    Raises:
        FileNotFoundError: if there is no such file; says the remedy.
        ValueError: if it is damaged, or holds something else; says what, and the remedy.
    """
    path = shipped.existing(ckpt_path, remedy)
    reason = describe_file(path)
    if reason is None:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # many kinds, whose words advise to run what is in the file
            reason = why_not_loaded(path)
    raise ValueError(f"{path} is not {kind}: {reason}; {remedy}.") from None


def check_entries(
    ckpt_path: str | PathLike[str], content: Any, kind: str, entries: Sequence[str], remedy: str
) -> None:
    """Raise a ValueError, which says the remedy, unless a content is a dict with these entries."""
    for entry in entries:
        if not isinstance(content, dict) or entry not in content:
            raise ValueError(
                f"{ckpt_path} is not {kind}: it has no entry '{entry}'; "
                f"{describe_content(content)}; {remedy}."
            )


def archive_name(name: str) -> tuple[Path, str | None]:
    """The file and the prefix of ``FILE.npz:PREFIX``, or of ``FILE.npz`` the file and None."""
    path, found, prefix = name.rpartition(".npz:")
    return (Path(f"{path}.npz"), prefix) if found else (Path(name), None)


def read_archive(
    path: Path, keys: Collection[str] | None = None
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Arrays of a file, read so that it can never run code, and the names of all there are.

    Args:
        path: the file, which exists.
        keys: which arrays, as far as they are there; by default all.

    Raises:
        ValueError: the file is not one of numpy's, damaged, or would unpack to much more than
            itself; says so in a few words.
    """
    try:
        with ZipFile(path) as archive:
            entries = {e.filename.removesuffix(".npy"): e for e in archive.infolist()}
            wanted = {k: e for k, e in entries.items() if keys is None or k in keys}
            _check_unpacked(path, wanted.values())
            return {k: _array(archive, e) for k, e in wanted.items()}, list(entries)
    except _RefusedError:
        raise
    except Exception:  # whatever zipfile and numpy raise for damaged files
        what = describe_file(path) or "it is a checkpoint"
        is_ours = what.startswith("it is an archive of numpy")
        raise ValueError("it is damaged" if is_ours else what) from None


class _RefusedError(ValueError):
    """Words of ours."""


def _check_unpacked(path: Path, entries: Collection[ZipInfo]) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    packed = min(path.stat().st_size, sum(entry.compress_size for entry in entries))
    if unpacked > _PACKED_ANYWAY and unpacked > _MOST_PACKED * packed:
        raise _RefusedError(
            f"it would unpack to {unpacked / 1e6:,.0f} MB, more than {_MOST_PACKED} times its size"
        )


def _array(archive: ZipFile, entry: ZipInfo) -> np.ndarray:
    """One array, if it is as large as its header says."""
    with archive.open(entry) as file:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
        announced = math.prod(shape) * dtype.itemsize
        if announced != entry.file_size - file.tell() or dtype.hasobject:
            words = (
                "holds objects of Python" if dtype.hasobject else "has another size than it says"
            )
            raise _RefusedError(f"its array {plain(entry.filename)} {words}")
    with archive.open(entry) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
