"""Picture files of one's own, with a table of their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lightning_ecinn.datamodules.batches.splits import hold_out
from lightning_ecinn.datamodules.checks import SPLITS, SplitName
from lightning_ecinn.datamodules.image_files import ImageFilesDataModule, LabelledFiles, present
from lightning_ecinn.datamodules.readers.files import open_files
from lightning_ecinn.datamodules.readers.table import Table, read_table

_SPLIT_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_NUMBER_OF = {word: number for number, name in enumerate(SPLITS) for word in _SPLIT_WORDS[name]}


class LabelledImages(ImageFilesDataModule):
    """Pictures in a folder or zip archive, and a CSV file that has a row for each.

        file,label
        scans/0001.png,healthy
        scans/0002.png,ill

    The classes are the different labels, sorted, as numbers if all of them are. Files without a row
    are no part of the data. Pictures are turned as their EXIF data say and resized to a square;
    what is transparent becomes white; 16-bit grey levels are scaled so that 65535 is white.

    Args:
        root: folder or zip archive that the names of the files start from.
        csv: the table, in `root` or anywhere else; commas, semicolons or tabs between the columns,
            and their names in the first line.
        file_column: the column of files.
        label_column: the column of labels, text or numbers.
        split_column: the column that says which images are for training, validation (val) and
            testing (test); by default they are shared out at random, every class in proportion.
        val_share: share of the training images held out for validation, unless `split_column`
            names validation images.
        test_share: share of the images held out for testing, unless `split_column` names test
            images.
        resolution: height and width.
        channels: 3 for colour, 1 for grey; pictures of the other kind are converted.
        crop: cut the central square out; otherwise squeeze the whole picture into a square.
        cache: folder for decoded pictures; by default $XDG_CACHE_HOME/lightning_ecinn, or
            ~/.cache/lightning_ecinn. May be deleted at any time.
        batch_size: training images per batch and process.
        eval_batch_size: images per batch and process everywhere else.
        seed: chooses the held-out images, the order of training, the flips and translations.
        max_shift: translate training images by up to so many pixels each way, filling with zeros.
        flip: mirror half of the training images left and right, other ones each epoch.
        predict_split: what `predict` runs over.

    Raises:
        DataNotFoundError: folder, archive or table are not there.
        ValueError: an argument is out of range, or the table cannot be used.
    """

    def __init__(
        self,
        root: str,
        csv: str = "labels.csv",
        file_column: str = "file",
        label_column: str = "label",
        split_column: str | None = None,
        val_share: float = 0.1,
        test_share: float = 0.1,
        resolution: int = 64,
        channels: Literal[1, 3] = 3,
        crop: bool = True,
        cache: str | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 250,
        seed: int = 0,
        max_shift: int = 0,
        flip: bool = False,
        predict_split: SplitName = "test",
    ) -> None:
        _check_settings(val_share, test_share, channels)
        self.root = Path(root).expanduser().absolute()
        # Now, not in setup: whoever builds the model asks at once how many classes there are.
        self._table = read_table(open_files(self.root), csv)
        self._names = self._table.unique(file_column, "file_column")
        self._labels = self._table.column(label_column, "label_column")
        self._given = self._table.column(split_column, "split_column") if split_column else None
        super().__init__(
            (channels, resolution, resolution),
            _class_names(self._labels, self._table, label_column),
            crop=crop,
            cache=cache,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            seed=seed,
            max_shift=max_shift,
            flip=flip,
            predict_split=predict_split,
        )
        self.val_share, self.test_share = val_share, test_share

    def index(self) -> LabelledFiles:
        """Find the pictures that the table names.

        Raises:
            DataNotFoundError: none of them is there.
            ValueError: the table has a split that is none.
        """
        files = open_files(self.root)
        number = {name: i for i, name in enumerate(self.class_names)}
        labels = torch.tensor([number[label] for label in self._labels])
        split = self._split(labels)
        found, remarks = present(files, self._names, str(self._table))
        names = [self._names[i] for i in found]
        return LabelledFiles(files, names, labels[found], split[found], remarks)

    def _split(self, labels: Tensor) -> Tensor:
        split = torch.zeros(len(labels), dtype=torch.int64)
        if self._given is not None:
            split = torch.tensor([self._number_of(word) for word in self._given])
        shares: dict[SplitName, float] = {"test": self.test_share, "val": self.val_share}
        for name, share in shares.items():
            if not (split == SPLITS.index(name)).any():
                count = round(share * int((split == 0).sum()))
                split = hold_out(split, labels, name, count, self.seed)
        return split

    def _number_of(self, word: str) -> int:
        if word.lower() not in _NUMBER_OF:
            raise ValueError(
                f"{self._table} has a split {word!r}; write one of {', '.join(_NUMBER_OF)}."
            )
        return _NUMBER_OF[word.lower()]


def _class_names(labels: list[str], table: Table, column: str) -> list[str]:
    """Return the different labels, 2 before 10, and text in alphabetical order."""
    names = sorted(set(labels))
    if len(names) < 2:
        raise ValueError(
            f"label_column {column!r} of {table} holds one label only, {names[0]!r}: there must be "
            "two or more classes."
        )
    if 2 * len(names) > len(labels):
        raise ValueError(
            f"label_column {column!r} of {table} holds {len(names)} different labels in "
            f"{len(labels)} rows: name a column of classes."
        )
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


def _check_settings(val_share: float, test_share: float, channels: int) -> None:
    for name, share in (("val_share", val_share), ("test_share", test_share)):
        if not 0 <= share < 1:
            raise ValueError(f"{name} is {share}; give a number from 0 to less than 1.")
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels}; give 1 for grey or 3 for colour.")
