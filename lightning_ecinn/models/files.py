"""Arrays in ``.npz`` files that a user names: ``FILE.npz``, or ``FILE.npz:PREFIX`` for a part."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

__all__ = ["archive_name", "read_archive"]


def archive_name(name: str) -> tuple[Path, str | None]:
    """The file of ``FILE.npz:PREFIX`` and the prefix, None where there is none."""
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
        ValueError: the file is not one of numpy's; says why.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            return {k: archive[k] for k in names if keys is None or k in keys}, names
    # Damaged files end in any of these; a plain .npy file is no archive and has no `with`.
    except (OSError, EOFError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise ValueError(str(error)) from None
