"""Files that a user names, read so that they can never run code: weights, and arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from lightning_ecinn import shipped

__all__ = ["archive_name", "check_entries", "read_archive", "read_weights"]


def read_weights(ckpt_path: str | PathLike[str], *, kind: str, remedy: str) -> Any:
    """What is in a file of weights, read with ``weights_only=True``, on the CPU.

    Args:
        ckpt_path: the file, or the name of a model that ships with the package.
        kind: what it should be, for the message.
        remedy: what to do where there is none, for the message.

    Raises:
        FileNotFoundError: if there is no such file; says the remedy.
        ValueError: if torch can't read it.
    """
    path = shipped.resolve(ckpt_path)
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path.absolute()}: {remedy}.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for files that are not checkpoints
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path} is not {kind}: {reason}") from None


def check_entries(
    ckpt_path: str | PathLike[str], content: Any, kind: str, entries: Sequence[str]
) -> None:
    """Raise a ValueError unless a file's content is a dict with these entries."""
    for entry in entries:
        if not isinstance(content, dict) or entry not in content:
            raise ValueError(f"{ckpt_path} is not {kind}: it has no entry '{entry}'.")


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
        ValueError: the file is not one of numpy's; says why.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            return {k: archive[k] for k in names if keys is None or k in keys}, names
    # Damaged files end in any of these; a plain .npy file is no archive and has no `with`.
    except (OSError, EOFError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise ValueError(str(error)) from None
