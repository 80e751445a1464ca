"""What data sets of picture files share: decoded once into a cache, then mapped from it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from lightning_ecinn.datamodules.base import InMemoryDataModule
from lightning_ecinn.datamodules.batches.dataset import ImageArrays
from lightning_ecinn.datamodules.checks import SPLITS, DataNotFoundError, SplitName
from lightning_ecinn.datamodules.readers.cache import (
    CachedImages,
    Format,
    cached_images,
    default_folder,
)
from lightning_ecinn.datamodules.readers.files import Files, some


@dataclass(frozen=True)
class LabelledFiles:
    """Picture files of a data set.

    Attributes:
        files: where they are.
        names: N names, each of which is there.
        labels: (N,) int64.
        split: (N,) int64, each picture's position in `SPLITS`.
        remarks: sentences about what was left out.
    """

    files: Files
    names: list[str]
    labels: Tensor
    split: Tensor
    remarks: list[str]


class ImageFilesDataModule(InMemoryDataModule):
    """Picture files, decoded once by one process per machine, then mapped by all from one file.

    So the data may be larger than memory, and later runs start at once. A data set is one method,
    `index`.

    Args:
        image_shape: (channels, side, side).
        class_names: one name per class.
        crop: cut the central square out; otherwise squeeze the whole picture into a square.
        cache: folder for decoded pictures; by default $XDG_CACHE_HOME/lightning_ecinn or
            ~/.cache/lightning_ecinn on Linux, elsewhere in the system's own folder for caches of
            the user. May be deleted at any time.
        **loader: fields of `LoaderSettings`.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        class_names: Sequence[str],
        crop: bool = True,
        cache: str | None = None,
        **loader: Any,
    ) -> None:
        super().__init__(image_shape, class_names, val_size=0, **loader)
        self.format = Format(size=image_shape[1], channels=image_shape[0], crop=crop)
        self.cache = default_folder() if cache is None else Path(cache).expanduser().absolute()

    def index(self) -> LabelledFiles:
        """Find the pictures, their labels and splits; nothing is decoded. Subclasses implement it.

        Raises:
            DataNotFoundError: they are not there.
            ValueError: a table is damaged.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not say where its pictures are: define index()."
        )

    def prepare_data(self) -> None:
        """Decode the pictures unless that has been done.

        Raises:
            DataNotFoundError: they are not there.
            ValueError: a table is damaged, or the cache cannot be written.
        """
        self._cached(self.index())

    def read(self, split: SplitName) -> dict[str, ImageArrays]:
        """Map the pictures of all splits; warn of those that were left out.

        Raises:
            ValueError: `split` is empty.
        """
        index = self.index()
        cached = self._cached(index)
        for remark in [*index.remarks, *_unreadable(index, cached)]:
            rank_zero_warn(remark)
        splits = _share_out(index, cached)
        if split not in splits:
            raise ValueError(
                f"None of the {len(index.names):,} pictures in {index.files} is a {split} image: "
                "add some, or change how they are split."
            )
        return splits

    def _cached(self, index: LabelledFiles) -> CachedImages:
        title = type(self).__name__.lower()
        with warnings.catch_warnings():  # of large pictures, whose size is checked; see `decode`
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return cached_images(index.files, index.names, self.format, self.cache, title)


def find_present(files: Files, names: Sequence[str], table: str) -> tuple[list[int], list[str]]:
    """Find out which of the pictures named in a table are there.

    Returns:
        Their positions in `names`, and a sentence about the others.

    Raises:
        DataNotFoundError: there is none.
    """
    is_there = [files.stamp(name) is not None for name in names]
    missing = [name for name, found in zip(names, is_there, strict=True) if not found]
    if len(missing) == len(names):
        raise DataNotFoundError(
            f"None of the {len(names):,} pictures that {table} names ({some(missing)}) is in "
            f"{files}, which holds {some(files.within(''), 8)}."
        )
    remark = f"{table} names pictures that are not in {files}; left out are {some(missing)}."
    return [i for i, found in enumerate(is_there) if found], [remark] if missing else []


def _share_out(index: LabelledFiles, cached: CachedImages) -> dict[str, ImageArrays]:
    """The splits that have images; without validation images an empty one, as elsewhere."""
    readable = torch.ones(len(index.names), dtype=torch.bool)
    readable[list(cached.unreadable)] = False
    rows = {
        name: ((index.split == number) & readable).nonzero().flatten()
        for number, name in enumerate(SPLITS)
    }
    return {
        name: ImageArrays(cached.images, index.labels[r], r)
        for name, r in rows.items()
        if len(r) or name == "val"
    }


def _unreadable(index: LabelledFiles, cached: CachedImages) -> list[str]:
    if not cached.unreadable:
        return []
    broken = [f"{index.names[i]} ({why})" for i, why in cached.unreadable.items()]
    return [
        f"Unreadable pictures in {index.files} are left out: {some(broken)}. Once they can be "
        f"read, delete {cached.place}."
    ]
