"""Which changes leave an image of its class: asked of a linear classifier, before any training."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Recognition", "recognise"]

LOOKED_AT, HELD_OUT = 3000, 1000
"""Images, spread over all, of which it is, and those of them that the classifier is asked about."""

SIDE = 32
"""Larger images are averaged down to so many pixels each way."""

RIDGE = 0.1
"""Penalty on the squared weights, in units of the pixels' mean variance."""

TELLS, KEEPS = 0.1, 0.7
"""The skill from which on a classifier has something to say, and the share of it that must be left:
digits keep 0.35 of it mirrored, faces 0.9; moved by a pixel, both keep 0.9."""


class Recognition(NamedTuple):
    """Skills of a linear classifier on held-out images: 0 is guessing, 1 is no error.

    That is (a - 1 / K) / (1 - 1 / K) for an accuracy a, the mean over the K classes.
    """

    plain: float
    """Of the images as they are."""
    mirrored: float
    """Left and right."""
    moved: float
    """By one pixel: the mean over up, down, left and right."""

    def keeps(self, change: Literal["mirrored", "moved"]) -> bool:
        """Whether images that are changed so are still known, as far as can be told."""
        skill: float = getattr(self, change)
        return self.plain >= TELLS and skill >= KEEPS * self.plain

    def describe(self, change: Literal["mirrored", "moved"]) -> str:
        """Why: "a linear classifier keeps 89% of its skill on mirrored images"."""
        if self.plain < TELLS:
            return f"a linear classifier knows too little to judge {change} images"
        share = max(getattr(self, change) / self.plain, 0)
        return f"a linear classifier keeps {share:.0%} of its skill on {change} images"


def recognise(images: Tensor, labels: Tensor) -> Recognition:
    """Train a linear classifier (ridge regression to one-hot labels), and ask it.

    The images are spread over all of them and ordered by a fixed seed, so that the same images
    always give the same answer.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,) int64.

    Example:
        >>> labels = torch.arange(300) % 2
        >>> images = torch.zeros(300, 1, 8, 8, dtype=torch.uint8)
        >>> images[labels == 0, :, :, 1:4] = 255
        >>> images[labels == 1, :, :, 4:7] = 255
        >>> found = recognise(images, labels)
        >>> found.keeps("mirrored"), found.keeps("moved")
        (False, True)
        >>> found.describe("moved")
        'a linear classifier keeps 100% of its skill on moved images'
    """
    indices = torch.linspace(0, len(labels) - 1, min(LOOKED_AT, len(labels))).long()
    order = torch.randperm(len(indices), generator=torch.Generator().manual_seed(0))
    held = len(indices) * HELD_OUT // LOOKED_AT
    asked, trained = indices[order].tensor_split([held])
    x, weights, offset = _fit(_pixels(images[trained]), labels[trained])

    def skill(changed: Tensor) -> float:
        found = (((_pixels(changed) - x) @ weights) + offset).argmax(1)
        return _skill(found, labels[asked])

    plain = images[asked]
    moves = [plain.roll(by, dims=(2, 3)) for by in ((0, 1), (0, -1), (1, 0), (-1, 0))]
    moved = sum(map(skill, moves)) / len(moves)
    return Recognition(skill(plain), skill(plain.flip(3)), moved)


def _pixels(images: Tensor) -> Tensor:
    """Grey values (N, D) in [0, 1] of images, no larger than `SIDE`."""
    height, width = images.shape[2:]
    pixels = images.double() / 255
    return F.adaptive_avg_pool2d(pixels, (min(height, SIDE), min(width, SIDE))).flatten(1)


def _fit(pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean pixels (D,), weights (D, K) and offsets (K,) of ridge regression, every class equal."""
    classes = F.one_hot(labels).to(pixels)
    weight = 1 / classes.sum(0).clamp(min=1)[labels]
    weight = (weight / weight.mean()).sqrt().unsqueeze(1)
    mean = (weight.square() * pixels).mean(0)
    offset = (weight.square() * classes).mean(0)
    x, y = weight * (pixels - mean), weight * (classes - offset)
    gram = x @ x.T if len(x) < x.shape[1] else x.T @ x
    gram.diagonal().add_(RIDGE * len(x) * x.square().mean().clamp(min=1e-9))
    if len(x) < x.shape[1]:
        return mean, x.T @ torch.linalg.solve(gram, y), offset
    return mean, torch.linalg.solve(gram, x.T @ y), offset


def _skill(found: Tensor, labels: Tensor) -> float:
    """Accuracy, mean over the classes that are there, with guessing at 0."""
    classes = labels.unique()
    if len(classes) < 2:
        return 0.0
    accuracy = float(sum((found[labels == k] == k).double().mean() for k in classes)) / len(classes)
    return (accuracy - 1 / len(classes)) / (1 - 1 / len(classes))
