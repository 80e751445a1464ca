"""Images in memory or mapped into it, handed out a batch at a time."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lightning_ecinn.datamodules.checks import check_images, whole_labels


class ImageBatch(NamedTuple):
    """One batch: images (B, C, H, W) uint8, labels (B,) int64, indices (B,) into the split."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class AugmentedIndices(NamedTuple):
    """A request for augmented images: indices (B,), and what to do with each image.

    `flips` (B,) bool mirrors left and right; then `shifts` (B, 2) moves rows down, columns right.
    """

    indices: Tensor
    shifts: Tensor | None = None
    flips: Tensor | None = None


class ImageArrays(Dataset):
    """Images and labels; indexing with a tensor of indices gives a whole batch.

    Every batch is a copy: changing it in place leaves the data alone. The pixels may be mapped
    from a file and shared by several data sets: then only the images of a batch are ever read.

    Args:
        images: (N, C, H, W) uint8, or (M, C, H, W) with `rows`.
        labels: (N,) whole numbers of any type; int64 from here on.
        rows: (N,) int64, where each of the N images lies in `images`.

    Raises:
        ValueError: images or labels are of another type, or not as many.
    """

    def __init__(self, images: Tensor, labels: Tensor, rows: Tensor | None = None) -> None:
        self._pixels = images
        self._rows = rows
        self.labels = whole_labels(labels, "ImageArrays got")
        check_images(images, "ImageArrays got")
        expected = tuple((images if rows is None else rows).shape[:1])
        if images.ndim != 4 or tuple(self.labels.shape) != expected:
            raise ValueError(
                f"ImageArrays got images of shape {tuple(images.shape)} and labels of shape "
                f"{tuple(labels.shape)}: give (N, C, H, W) and one label per image."
            )

    @property
    def images(self) -> Tensor:
        """All images (N, C, H, W) uint8; with `rows` a copy in memory."""
        return self._pixels if self._rows is None else self._pixels[self._rows]

    def __len__(self) -> int:
        """Return the number of images, N."""
        return len(self.labels)

    def __getitem__(self, key: Tensor | AugmentedIndices) -> ImageBatch:
        """Return the images at the indices `key` (B,), augmented if it says so.

        A list of ints works too, and one int gives a batch of one.
        """
        if isinstance(key, AugmentedIndices):
            batch = self[key.indices]
            return batch._replace(images=_augment(batch.images, key))
        indices = torch.as_tensor(key).reshape(-1)
        return ImageBatch(self._pixels[self.rows(indices)], self.labels[indices], indices)

    def rows(self, indices: Tensor) -> Tensor:
        """Return where images (B,) lie among those that `load` returned."""
        return indices if self._rows is None else self._rows[indices]


def _augment(images: Tensor, request: AugmentedIndices) -> Tensor:
    if request.flips is not None:
        images = images.where(~request.flips[:, None, None, None], images.flip(-1))
    return images if request.shifts is None else translate(images, request.shifts)


def translate(images: Tensor, shifts: Tensor) -> Tensor:
    """Move every image by its own whole number of pixels; what comes free repeats the edge.

    Args:
        images: (B, C, H, W), any dtype.
        shifts: (B, 2) int64: rows down and columns right; negative is up and left.

    Returns:
        (B, C, H, W), same dtype.
    """
    batch, channels, height, width = images.shape
    rows = (torch.arange(height) - shifts[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width) - shifts[:, 1:]).clamp(0, width - 1)
    return images[
        torch.arange(batch)[:, None, None, None],
        torch.arange(channels)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
