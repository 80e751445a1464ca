"""FakeMNIST: digits whose class is one pixel at the edge, so that the true explanation is known."""

from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.datamodules.batches.seeding import FAKE_LABELS, random_state
from lightning_ecinn.datamodules.checks import SplitName, check_at_least
from lightning_ecinn.datamodules.mnist import MNIST


class FakeMNIST(MNIST):
    """MNIST with random labels, each written into the image as one white pixel.

    From Section 4.1 of the ECINN paper, https://arxiv.org/abs/2103.13701. The label is drawn
    uniformly from 0..9, whatever the digit. The pixels (row 0..9, column 0) are black but for the
    one in row `label`. So the class lies in these ten pixels alone, and what has to change from
    class p to class q is known: (row p, column 0) and (row q, column 0).

    Args:
        label_seed: chooses the labels, of the training and of the test images apart.
        **mnist: everything that `MNIST` takes.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> data = FakeMNIST(source="sample")
        >>> images, labels, indices = data.dataset("test")[torch.arange(3)]
        >>> labels
        tensor([8, 0, 8])
        >>> images[0, 0, :10, 0]
        tensor([  0,   0,   0,   0,   0,   0,   0,   0, 255,   0], dtype=torch.uint8)
        >>> data.mask(8, 0).nonzero()  # channel, row, column
        tensor([[0, 0, 0],
                [0, 8, 0]])
    """

    def __init__(self, label_seed: int = 0, **mnist: Any) -> None:
        super().__init__(**mnist)
        check_at_least(0, label_seed=label_seed)
        self.label_seed = label_seed

    @property
    def class_pixels(self) -> Tensor:
        """Which pixels speak for which class: bool (K, C, H, W), one pixel per class."""
        pixels = torch.zeros(self.num_classes, *self.image_shape, dtype=torch.bool)
        classes = torch.arange(self.num_classes)
        pixels[classes, :, classes, 0] = True
        return pixels

    def mask(self, p: Tensor | int, q: Tensor | int) -> Tensor:
        """Return the pixels that tell class p from class q.

        Args:
            p: class or classes (B,) int64.
            q: class or classes (B,) int64.

        Returns:
            bool (C, H, W), or (B, C, H, W) for tensors (B,), on their device.
        """
        p, q = torch.as_tensor(p), torch.as_tensor(q)
        pixels = self.class_pixels.to(p.device)
        return pixels[p] | pixels[q]

    def changed_pixels(
        self, split: SplitName, indices: Tensor, source: Tensor, target: Tensor
    ) -> Tensor:
        """Return `mask(source, target)`, bool (B, 1, 28, 28): the same in every image."""
        return self.mask(source, target)

    def load(self, train: bool) -> tuple[Tensor, Tensor]:
        """Return relabelled digits: images (N, 1, 28, 28) uint8 and labels (N,) int64."""
        digits, _ = super().load(train)
        labels = draw_labels(len(digits), self.num_classes, self.label_seed, train)
        return write_labels(digits, labels, self.class_pixels), labels


def draw_labels(num_images: int, num_classes: int, seed: int, train: bool) -> Tensor:
    """Draw labels (N,) int64 uniformly from 0 .. num_classes - 1."""
    state = random_state(seed, FAKE_LABELS, int(train))
    return torch.from_numpy(state.randint(0, num_classes, num_images, "int64"))


def write_labels(images: Tensor, labels: Tensor, class_pixels: Tensor) -> Tensor:
    """Blacken all class pixels and whiten those of each image's label, on a copy.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.
        class_pixels: (K, C, H, W) bool.

    Returns:
        (N, C, H, W) uint8.
    """
    images = images.masked_fill(class_pixels.any(0), 0)
    return images.masked_fill_(class_pixels[labels], 255)
