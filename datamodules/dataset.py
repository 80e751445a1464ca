"""Images in memory, handed out a batch at a time."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset


class ImageBatch(NamedTuple):
    """One batch: images (B, C, H, W) uint8, labels (B,) int64, indices (B,) into the split."""

    images: Tensor
    labels: Tensor
    indices: Tensor


class ShiftedIndices(NamedTuple):
    """A request for translated images: indices (B,) and shifts (B, 2), rows down, columns right."""

    indices: Tensor
    shifts: Tensor


class ImageArrays(Dataset):
    """Images and labels in memory; indexing with a tensor of indices gives a whole batch.

    Every batch is a copy: changing it in place leaves the data alone.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        """Return the number of images, N."""
        return len(self.labels)

    def __getitem__(self, key: Tensor | ShiftedIndices) -> ImageBatch:
        """Return the images at the indices `key` (B,), translated if it says so.

        A list of ints works too, and one int gives a batch of one.
        """
        if isinstance(key, ShiftedIndices):
            batch = self[key.indices]
            return batch._replace(images=translate(batch.images, key.shifts))
        indices = torch.as_tensor(key).reshape(-1)
        return ImageBatch(self.images[indices], self.labels[indices], indices)


def translate(images: Tensor, shifts: Tensor) -> Tensor:
    """Move every image by its own whole number of pixels and fill what comes free with zeros.

    Args:
        images: (B, C, H, W), any dtype.
        shifts: (B, 2) int64: rows down and columns right; negative is up and left.

    Returns:
        (B, C, H, W), same dtype.
    """
    batch, channels, height, width = images.shape
    margin = int(shifts.abs().max()) if len(shifts) else 0
    padded = F.pad(images, (margin,) * 4)
    rows = margin + torch.arange(height) - shifts[:, :1]
    columns = margin + torch.arange(width) - shifts[:, 1:]
    return padded[
        torch.arange(batch)[:, None, None, None],
        torch.arange(channels)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
