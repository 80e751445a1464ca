"""CelebA-HQ, or CelebA: faces, and whether they have one of 40 attributes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lightning_ecinn.datamodules.batches.splits import hold_out
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.datamodules.image_files import ImageFilesDataModule, LabelledFiles, present
from lightning_ecinn.datamodules.readers.celeba import CelebAFiles, class_names, find_celeba
from lightning_ecinn.datamodules.readers.files import some

_OFFICIAL: dict[SplitName, int] = {"val": 2_993, "test": 2_824}
"""How many of CelebA-HQ's 30,000 pictures CelebA's partition holds out."""


class CelebAHQ(ImageFilesDataModule):
    """Faces with (label 1) and without (label 0) one attribute, 3 x resolution x resolution.

    From Section 4.3 of the ECINN paper, https://arxiv.org/abs/2103.13701. What is in `root` decides
    what is read, the first of these that is found there or in the folder that unpacking makes:

    - the CelebAMask-HQ release, 30,000 pictures of 1024 x 1024: `CelebA-HQ-img/` and
      `CelebAMask-HQ-attribute-anno.txt`;
    - the same in `CelebAMask-HQ.zip`, which is not unpacked; `root` may be the archive itself;
    - CelebA, 202,599 pictures of 178 x 218: `img_align_celeba/` and `list_attr_celeba.txt`, also as
      torchvision puts them below `celeba/`. The central 178 x 178 pixels are used.

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
        cache: folder for decoded pictures; by default $XDG_CACHE_HOME/lightning_ecinn, or
            ~/.cache/lightning_ecinn. May be deleted at any time.
        batch_size: training images per batch and process.
        eval_batch_size: images per batch and process everywhere else.
        seed: chooses the order of training, the flips and translations, and a random split.
        max_shift: translate training images by up to so many pixels each way, filling with zeros.
        flip: mirror half of the training images left and right, other ones each epoch.
        predict_split: what `predict` runs over.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        root: str = "data",
        attribute: str = "Smiling",
        resolution: int = 64,
        cache: str | None = None,
        batch_size: int = 32,
        eval_batch_size: int = 250,
        seed: int = 0,
        max_shift: int = 0,
        flip: bool = True,
        predict_split: SplitName = "test",
    ) -> None:
        if resolution not in range(32, 257, 32):
            raise ValueError(f"resolution is {resolution}; give a multiple of 32 up to 256.")
        super().__init__(
            (3, resolution, resolution),
            class_names(attribute),
            cache=cache,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            seed=seed,
            max_shift=max_shift,
            flip=flip,
            predict_split=predict_split,
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
        found, remarks = present(celeba.files, paths, celeba.attributes)
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
