"""Arrays that the user gives as files: targets, and pictures of one's own."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.models.files import archive_name, read_archive
from lightning_ecinn.models.weight_files import some_names

__all__ = ["read_images", "read_targets"]


def read_targets(path: str) -> dict[str, np.ndarray]:
    """Which classes to ask for: whole numbers (N,).

    Args:
        path: a ``.npz`` file with ``target`` and perhaps ``source`` (``PATH.npz:PREFIX`` for
            ``PREFIX/target``), one value per image in order; or a ``.csv`` file with the columns
            ``index`` and ``target``.

    Returns:
        ``target``, with ``source`` or ``index`` where the file has it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it does not hold these.
    """
    if path.endswith(".csv"):
        return _table(_existing(Path(path), "--targets"))
    arrays = _archive(path, "--targets", ("target",), ("source",))
    for name, array in arrays.items():
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"--targets {path}: {name} must be whole numbers (N,), got {array.dtype} of shape "
                f"{array.shape}."
            )
    return {name: array.astype(np.int64) for name, array in arrays.items()}


def read_images(path: str) -> tuple[Tensor, Tensor]:
    """Pictures (N, C, H, W) uint8 and labels (N,) int64.

    Args:
        path: a ``.npz`` file with ``images`` (N, H, W) or (N, H, W, C) uint8 and ``labels`` (N,);
            ``PATH.npz:PREFIX`` for ``PREFIX/images``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it does not hold these.
    """
    arrays = _archive(path, "--images", ("images", "labels"))
    images, labels = arrays["images"], arrays["labels"]
    images = images[..., None] if images.ndim == 3 else images
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) == 0:
        raise ValueError(
            f"--images {path}: images must be uint8 (N, H, W) or (N, H, W, C), got "
            f"{images.dtype} of shape {arrays['images'].shape}."
        )
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"--images {path}: labels must be whole numbers, one for each of {len(images)} images, "
            f"got {labels.dtype} of shape {labels.shape}."
        )
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return pixels, torch.from_numpy(labels.astype(np.int64))


def _existing(path: Path, option: str) -> Path:
    path = path.expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{option} {path}: there is no such file.")
    return path


def _archive(
    name: str, option: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Mapping[str, np.ndarray]:
    path, prefix = archive_name(name)
    file, prefix = _existing(path, option), "" if prefix is None else f"{prefix}/"
    try:
        found, names = read_archive(file, [prefix + key for key in (*needed, *optional)])
    except ValueError as error:
        raise ValueError(f"{option} {name}: this is no .npz file of numbers ({error}).") from None
    arrays = {key.removeprefix(prefix): array for key, array in found.items()}
    for key in needed:
        if key not in arrays:
            raise ValueError(
                f"{option} {name}: there is no {prefix}{key} in it, only "
                f"{some_names(names, 8)}; "
                "PATH.npz:PREFIX chooses the arrays that begin with PREFIX/."
            )
    return arrays


def _table(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            pairs = _pairs(csv.DictReader(file), path)
    except UnicodeDecodeError:
        raise ValueError(f"--targets {path}: this is not text in UTF-8: save it as such.") from None
    except csv.Error as error:  # such as a quote that is never closed
        raise ValueError(f"--targets {path}: this is no table ({error}).") from None
    index, target = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return {"index": index, "target": target}


def _pairs(reader: csv.DictReader, path: Path) -> list[tuple[int, int]]:
    names = reader.fieldnames or ()
    if not {"index", "target"} <= set(names):
        raise ValueError(
            f"--targets {path}: the table needs the columns index and target, got "
            f"{some_names(names, 8)}."
        )
    pairs = []
    for row in reader:
        try:
            pairs.append((_whole(row["index"]), _whole(row["target"])))
        except (TypeError, ValueError):
            raise ValueError(
                f"--targets {path}: line {reader.line_num} does not hold two whole numbers."
            ) from None
    return pairs


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError
    return number
