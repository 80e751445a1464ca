"""CelebA-HQ, or CelebA: faces, and whether they have one of 40 attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.datamodules.batches.splits import hold_out
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.datamodules.image_files import (
    ImageFilesDataModule,
    LabelledFiles,
    find_present,
)
from lightning_ecinn.datamodules.readers.celeba import CelebAFiles, class_names, find_celeba
from lightning_ecinn.datamodules.readers.files import some

_OFFICIAL: dict[SplitName, int] = {"val": 2_993, "test": 2_824}
"""How many of CelebA-HQ's 30,000 pictures CelebA's partition holds out."""


class CelebAHQ(ImageFilesDataModule):
    r"""Faces with (label 1) and without (label 0) one attribute, 3 x resolution x resolution.

    From Section 4.3 of the ECINN paper, https://arxiv.org/abs/2103.13701. What is in `root` decides
    what is read, the first of these that is found there or in a folder of it:

    - the CelebAMask-HQ release, 30,000 pictures of 1024 x 1024: `CelebA-HQ-img/` and
      `CelebAMask-HQ-attribute-anno.txt`;
    - the same in `CelebAMask-HQ.zip`, which is not unpacked; `root` may be the archive itself;
    - CelebA, 202,599 pictures of 178 x 218, whose central 178 x 178 are used: `img_align_celeba/`
      or its zip, and `list_attr_celeba.txt`. CelebA's own folders `Anno/`, `Eval/` and `Img/` are
      read, and Kaggle's form, packed or not: CSV tables, and a folder of pictures in a folder.

    The split is CelebA's own, by `CelebA-HQ-to-CelebA-mapping.txt` (24,183 training, 2,993
    validation and 2,824 test images) or `list_eval_partition.txt`. A CelebA-HQ without its mapping
    is split at random in the same proportions: by `seed`, alike for all attributes.

    Pictures are decoded once, in a minute or two of two CPU cores, for all 40 attributes; see
    `cache`.

    Args:
        root: folder or archive.
        attribute: the column of the table of attributes, such as Smiling.
        resolution: height and width, a multiple of 32 up to 256; the paper has 64 (and 224 for its
            Inception-v3).
        batch_size: training images per batch and process.
        flip: mirror half of the training images left and right, other ones each epoch. None: where
            a linear classifier still knows held-out images that are mirrored.
        **files: `cache` of `ImageFilesDataModule`, and further fields of `LoaderSettings`.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> with TemporaryDirectory() as root:  # CelebA of six grey pictures, the odd ones smiling
        ...     folder, rows = Path(root, "img_align_celeba"), ["6", "Smiling Young"]
        ...     folder.mkdir()
        ...     for number in range(1, 7):
        ...         Image.new("RGB", (178, 218), "grey").save(folder / f"{number:06}.jpg")
        ...         rows.append(f"{number:06}.jpg {1 if number % 2 else -1} 1")
        ...     _ = Path(root, "list_attr_celeba.txt").write_text("\n".join(rows))
        ...     data = CelebAHQ(root, attribute="Smiling", cache=f"{root}/cache")
        ...     batch = data.dataset("train")[torch.arange(6)]
        >>> data.class_names, batch.labels, batch.images.shape
        (['not smiling', 'smiling'], tensor([1, 0, 1, 0, 1, 0]), torch.Size([6, 3, 64, 64]))
    """

    def __init__(
        self,
        root: str = "data",
        attribute: str = "Smiling",
        resolution: int = 64,
        *,
        batch_size: int = 32,
        flip: bool | None = True,
        **files: Any,
    ) -> None:
        if resolution not in range(32, 257, 32):
            raise ValueError(f"resolution is {resolution}; give a multiple of 32 up to 256.")
        super().__init__(
            (3, resolution, resolution),
            class_names(attribute),
            crop=True,
            batch_size=batch_size,
            flip=flip,
            **files,
        )
        self.root = Path(root).expanduser().absolute()
        self.attribute = attribute

    def index(self) -> LabelledFiles:
        """Find the pictures, their attribute and splits.

        Raises:
            DataNotFoundError: pictures or attributes are not there.
            ValueError: there is no such attribute, or a table is damaged.
        """
        celeba = find_celeba(self.root)
        has_attribute = celeba.read_attribute(self.attribute)
        pictures = list(has_attribute)
        paths = [f"{celeba.images}/{picture}" for picture in pictures]
        found, remarks = find_present(celeba.files, paths, celeba.attributes)
        pictures = [pictures[i] for i in found]
        return LabelledFiles(
            celeba.files,
            [paths[i] for i in found],
            torch.tensor([has_attribute[picture] for picture in pictures]).long(),
            self._split(celeba, pictures),
            [*remarks, *_without_row(celeba, has_attribute)],
        )

    def _split(self, celeba: CelebAFiles, pictures: list[str]) -> Tensor:
        official = celeba.read_split(pictures)
        if official is not None:
            return torch.tensor(official)
        split = alike = torch.zeros(len(pictures), dtype=torch.int64)
        for name, count in _OFFICIAL.items():
            share = round(count * len(pictures) / 30_000)
            split = hold_out(split, alike, name, share, self.seed)
        return split


def _without_row(celeba: CelebAFiles, rows: dict[str, bool]) -> list[str]:
    files = celeba.files.within(celeba.images)
    rest = [name for name in files if name.endswith(".jpg") and name not in rows]
    if not rest:
        return []
    return [f"Pictures without a line in {celeba.attributes} are left out: {some(rest)}."]
