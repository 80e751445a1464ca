"""FakeMNIST: digits whose class is one pixel at the edge, so that the true explanation is known."""

from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.datamodules.batches.seeding import FAKE_LABELS, FAKE_SHORTCUTS, random_state
from lightning_ecinn.datamodules.checks import SplitName, check_at_least, check_between
from lightning_ecinn.datamodules.factors import Factor
from lightning_ecinn.datamodules.mnist import MNIST


class FakeMNIST(MNIST):
    """MNIST with random labels, each written into the image as one white pixel.

    From Section 4.1 of the ECINN paper, https://arxiv.org/abs/2103.13701. The label is drawn
    uniformly from 0..9, whatever the digit. The pixels (row 0..9, column 0) are black but for the
    one in row `label`. So the class lies in these ten pixels alone, and what has to change from
    class p to class q is known: (row p, column 0) and (row q, column 0).

    A shortcut may be added, to see whether a classifier takes it: a second pixel, in the last
    column, row `label` too, or in another row.

    Args:
        label_seed: chooses the labels, of the training and of the test images apart.
        shortcut: share of the images whose second pixel names the label, 1/10 for no more than
            chance; the others' name another class. None for no second pixel, as in the paper.
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

    def __init__(self, label_seed: int = 0, shortcut: float | None = None, **mnist: Any) -> None:
        super().__init__(**mnist)
        check_at_least(0, label_seed=label_seed)
        if shortcut is not None:
            check_between(0, 1, shortcut=shortcut)
        self.label_seed = label_seed
        self.shortcut = shortcut

    @property
    def class_pixels(self) -> Tensor:
        """Which pixels speak for which class: bool (K, C, H, W), one pixel per class."""
        return self._pixels_of(column=0)

    @property
    def shortcut_pixels(self) -> Tensor:
        """Which pixels name which class in the shortcut, as :attr:`class_pixels`."""
        return self._pixels_of(column=-1)

    def _pixels_of(self, column: int) -> Tensor:
        pixels = torch.zeros(self.num_classes, *self.image_shape, dtype=torch.bool)
        classes = torch.arange(self.num_classes)
        pixels[classes, :, classes, column] = True
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
        images = write_labels(digits, labels, self.class_pixels)
        if self.shortcut is None:
            return images, labels
        state = random_state(self.label_seed, FAKE_SHORTCUTS, int(train))
        agrees = torch.from_numpy(state.uniform(size=len(labels)) < self.shortcut)
        other = torch.from_numpy(state.randint(1, self.num_classes, len(labels), "int64"))
        named = labels.where(agrees, (labels + other) % self.num_classes)
        return write_labels(images, named, self.shortcut_pixels), labels

    def factors(self, split: SplitName, indices: Tensor) -> dict[str, Factor]:
        """Return the label's pixels and those of the shortcut: each names the next class."""
        images = self.dataset(split)[indices.cpu()].images
        columns = {"label": self.class_pixels}
        if self.shortcut is not None:
            columns["shortcut"] = self.shortcut_pixels
        found = {}
        for name, pixels in columns.items():
            named = (images.unsqueeze(1) * pixels).flatten(2).sum(2).argmax(1)
            switched = write_labels(images, (named + 1) % self.num_classes, pixels)
            where = pixels.any(0).any(0, keepdim=True).expand(len(images), -1, -1, -1)
            found[name] = Factor(switched, where)
        return found


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
