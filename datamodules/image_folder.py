"""Picture files of one's own, with a table of their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_ecinn.datamodules.batches.splits import hold_out
from lightning_ecinn.datamodules.checks import SPLITS, SplitName, check_shares
from lightning_ecinn.datamodules.image_files import (
    ImageFilesDataModule,
    LabelledFiles,
    find_present,
)
from lightning_ecinn.datamodules.readers.files import open_files
from lightning_ecinn.datamodules.readers.folders import read_folders
from lightning_ecinn.datamodules.readers.looks import (
    find_channels,
    find_resolution,
    look_at_files,
)
from lightning_ecinn.datamodules.readers.table import Table, read_table
from lightning_ecinn.plain_text import plain

_SPLIT_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_NUMBER_OF = {word: number for number, name in enumerate(SPLITS) for word in _SPLIT_WORDS[name]}


class LabelledImages(ImageFilesDataModule):
    r"""Pictures in a folder or zip archive, and a CSV file that has a row for each.

        file,label
        scans/0001.png,healthy
        scans/0002.png,ill

    Or without a table, ``csv=None``: the names of folders are the labels, as in ``cat/1.png``, and
    those above them the splits where they are called so, as in ``train/cat/1.png``.

    The classes are the different labels, sorted, as numbers if all of them are. Files without a row
    are no part of the data. Paths start from `root` and stay in it; those of Windows are read too.
    Pictures are turned as their EXIF data say and resized to a square; what is transparent becomes
    white; 16-bit grey levels are scaled so that 65535 is white.

    Args:
        root: folder or zip archive that the names of the files start from.
        csv: the table, in `root` or anywhere else; commas, semicolons or tabs between the columns,
            and their names in the first line. None: folders are labels.
        file_column: the column of files.
        label_column: the column of labels, text or numbers.
        split_column: the column that says which images are for training, validation (val) and
            testing (test); by default they are shared out at random, every class in proportion.
        val_share: share of the training images held out for validation, unless `split_column`
            names validation images.
        test_share: share of the images held out for testing, unless `split_column` names test
            images.
        resolution: height and width; None: found from the files, 16, 28, 32 or 64.
        channels: 3 for colour, 1 for grey; pictures of the other kind are converted. None: found
            from the files.
        batch_size: training images per batch and process.
        **files: `crop` and `cache` of `ImageFilesDataModule`, and further fields of
            `LoaderSettings`.

    Raises:
        DataNotFoundError: folder, archive or table are not there.
        ValueError: an argument is out of range, or the table cannot be used.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> with TemporaryDirectory() as root:
        ...     rows = ["file,label"]
        ...     for number in range(20):
        ...         Image.new("L", (40, 30), 10 * number).save(f"{root}/{number}.png")
        ...         rows.append(f"{number}.png,{'healthy' if number < 10 else 'ill'}")
        ...     _ = Path(root, "labels.csv").write_text("\n".join(rows))
        ...     data = LabelledImages(root, cache=f"{root}/cache")
        ...     data.setup()
        >>> data.class_names, [len(data.dataset(split)) for split in SPLITS]
        (['healthy', 'ill'], [16, 2, 2])
    """

    def __init__(
        self,
        root: str,
        csv: str | None = "labels.csv",
        file_column: str = "file",
        label_column: str = "label",
        split_column: str | None = None,
        val_share: float = 0.1,
        test_share: float = 0.1,
        resolution: int | None = 64,
        channels: Literal[1, 3] | None = 3,
        *,
        batch_size: int = 64,
        **files: Any,
    ) -> None:
        check_shares(val_share=val_share, test_share=test_share)
        if channels not in (1, 3, None):
            raise ValueError(f"channels is {channels}; give 1 for grey or 3 for colour.")
        self.root = Path(root).expanduser().absolute()
        # Now, not in setup: whoever builds the model asks at once how many classes there are.
        place = open_files(self.root)
        self._table = read_folders(place, _NUMBER_OF) if csv is None else read_table(place, csv)
        if csv is None and split_column is None and "split" in self._table.names:
            split_column = "split"
        self._names = self._table.pictures(file_column, "file_column", place)
        labels = self._table.column(label_column, "label_column")
        self._labels = [plain(label) for label in labels]
        self._given = self._table.column(split_column, "split_column") if split_column else None
        side, depth = self._found(resolution, channels)
        super().__init__(
            (depth, side, side),
            _class_names(self._labels, self._table, label_column),
            batch_size=batch_size,
            **files,
        )
        self.val_share, self.test_share = val_share, test_share

    def _found(self, resolution: int | None, channels: int | None) -> tuple[int, int]:
        """Resolution and channels, as given or else as the files have them."""
        if resolution is not None and channels is not None:
            return resolution, channels
        files = open_files(self.root)
        found, _ = find_present(files, self._names, str(self._table))
        looks = look_at_files(files, [self._names[i] for i in found])
        side = find_resolution(looks) if resolution is None else resolution
        return side, find_channels(looks) if channels is None else channels

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
        found, remarks = find_present(files, self._names, str(self._table))
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
    if len(names) > 2 and 2 * len(names) > len(labels):
        raise ValueError(
            f"label_column {column!r} of {table} holds {len(names)} different labels in "
            f"{len(labels)} rows: name a column of classes."
        )
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        return names
    if len(set(numbers.values())) < len(names):
        raise ValueError(
            f"label_column {column!r} of {table} writes a number in several ways "
            f"({', '.join(names)}): write each class in one."
        )
    return sorted(names, key=float)
