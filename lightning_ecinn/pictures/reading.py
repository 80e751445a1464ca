"""Picture files and folders of them, read as a model's data set reads its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.pictures.convert import read_picture
from lightning_ecinn.pictures.files import find_pictures
from lightning_ecinn.progress import progress_bar

__all__ = ["read_each", "read_images"]

_FEWEST_PER_BAR = 50
"""Pictures below which no bar is worth showing."""


def read_images(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]], like: Any, crop: bool | None = None
) -> Tensor:
    """Read picture files and folders as the data set of a model reads its own.

    Args:
        paths: files and folders, one or several; of folders the pictures in them and in their
            folders, sorted by name.
        like: an `Explainer`, or whatever else has the `image_shape` (C, H, W).
        crop: cut the central square out; otherwise squeeze the whole picture into a square. By
            default as the model's data set did, where `like` knows that, else cut.

    Returns:
        (B, C, H, W) uint8, in the order of the paths.

    Raises:
        ValueError: there are none, or some cannot be read; says which, and why.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> from lightning_ecinn import Explainer
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> with TemporaryDirectory() as folder:
        ...     Image.new("RGB", (300, 200)).save(f"{folder}/photo.jpg")
        ...     images = read_images(folder, like=explainer)
        >>> images.shape, images.dtype
        (torch.Size([1, 1, 28, 28]), torch.uint8)
    """
    found = find_pictures([paths] if isinstance(paths, str | PathLike) else list(paths))
    crop = getattr(like, "crop", True) if crop is None else crop
    results = list(read_each(found, like.image_shape, crop))
    failed = [result for result in results if isinstance(result, ValueError)]
    if failed:
        others = f" So it is with {len(failed) - 1:,} more." if len(failed) > 1 else ""
        raise ValueError(f"{failed[0]}{others}")
    return torch.from_numpy(np.stack(results))  # type: ignore[arg-type]


def read_each(
    paths: Sequence[Path], image_shape: Sequence[int], crop: bool
) -> Iterator[np.ndarray | ValueError]:
    """Each picture (C, H, W) uint8 in order, or why it cannot be read; a bar, where it takes long.

    Args:
        paths: the files.
        image_shape: (C, H, W).
        crop: whether to cut the central square out.
    """

    def attempt(path: Path) -> np.ndarray | ValueError:
        try:
            return read_picture(path, image_shape, crop)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(min(len(paths), os.cpu_count() or 1)) as pool:
        read = pool.map(attempt, paths)
        shown = len(paths) >= _FEWEST_PER_BAR
        yield from progress_bar(read, "reading", total=len(paths), unit=" pictures", shown=shown)
