"""What a classifier hangs on: the mean change of its counterfactuals, and how alike they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_ecinn.metrics import heatmap_mass

__all__ = ["FactorUse", "PairChange", "factor_use", "mean_changes"]


@dataclass(frozen=True)
class PairChange:
    r"""What the counterfactuals from one class to another have in common.

    Attributes:
        source: p.
        target: q.
        count: counterfactuals, n.
        change: (C, H, W) float64, the mean of picture minus image, of pixels in [0, 1].
        l1: mean of the sum of absolute changes.
        consistency: mean cosine of the changes d of two different images,
            :math:`(|\sum_i d_i / |d_i||^2 - n) / (n (n - 1))`: 1 if all change alike, about 0 if
            they have nothing in common; NaN for fewer than two that change.
    """

    source: int
    target: int
    count: int
    change: Tensor
    l1: float
    consistency: float


@dataclass(frozen=True)
class FactorUse:
    """How much a classifier uses one factor, asked and explained.

    Attributes:
        answers: share of the images whose predicted class changes when only this is switched.
        share: mean share of the counterfactuals' squared changes in its pixels: squared, for what
            hardly changes anywhere adds up to much.
        area: mean share of the pixels that these are.
        asked: images that were switched.
        explained: counterfactuals.
    """

    answers: float
    share: float
    area: float
    asked: int
    explained: int


def mean_changes(
    images: Tensor, pictures: Tensor, source: Tensor, target: Tensor
) -> list[PairChange]:
    """The changes of each pair of classes, the most frequent first.

    Args:
        images: (n, C, H, W) uint8.
        pictures: their counterfactuals, likewise.
        source: p, (n,).
        target: q, (n,).

    Example:
        >>> images = torch.zeros(2, 1, 1, 2, dtype=torch.uint8)
        >>> pictures = torch.tensor([[[[255, 0]]], [[[255, 255]]]], dtype=torch.uint8)
        >>> (found,) = mean_changes(images, pictures, torch.tensor([0, 0]), torch.tensor([1, 1]))
        >>> found.change.tolist(), round(found.consistency, 3)
        ([[[1.0, 0.5]]], 0.707)
    """
    found = []
    for p, q in torch.stack((source, target), 1).unique(dim=0).tolist():
        chosen = (source == p) & (target == q)
        change = (pictures[chosen].double() - images[chosen].double()) / 255
        found.append(
            PairChange(
                source=p,
                target=q,
                count=len(change),
                change=change.mean(0),
                l1=change.abs().flatten(1).sum(1).mean().item(),
                consistency=_consistency(change.flatten(1)),
            )
        )
    return sorted(found, key=lambda one: (-one.count, one.source, one.target))


def factor_use(before: Tensor, after: Tensor, changes: Tensor, pixels: Tensor) -> FactorUse:
    """How much a factor is used.

    Args:
        before: predicted classes (m,) of images.
        after: those of the same images with the factor switched.
        changes: (n, C, H, W), counterfactuals minus their images.
        pixels: (n, 1, H, W), the pixels that depend on the factor in each of them.
    """
    return FactorUse(
        answers=(before != after).double().mean().item(),
        share=heatmap_mass(changes.square(), pixels.expand_as(changes)).mean().item(),
        area=pixels.double().mean().item(),
        asked=len(before),
        explained=len(changes),
    )


def _consistency(changes: Tensor) -> float:
    """Mean cosine of two different rows of changes (n, D); rows of zeros are left out."""
    lengths = changes.norm(dim=1)
    units = changes[lengths > 0] / lengths[lengths > 0, None]
    n = len(units)
    if n < 2:
        return math.nan
    return ((units.sum(0).square().sum() - n) / (n * (n - 1))).item()
