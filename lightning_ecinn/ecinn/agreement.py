"""Whether another network sees the target in counterfactuals, and the step at which it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.paths import Paths
from lightning_ecinn.models.preprocessing import round_to_8_bits

__all__ = ["Agreement", "FittedOffset", "fit_offset", "offsets_from"]

LAST_OFFSET, SPACING = 2.0, 0.05
"""Of the grid on which an offset of the convincing step is looked for."""


class Agreement:
    """The same images on their way to the same targets, at any convincing step; encoded once.

    Args:
        explainer: whose counterfactuals; its truncation holds.
        z: latents (N, D) of the images.
        target: q, (N,), other than the classes they are classified as.
        judge: from pictures (B, C, H, W) in [0, 1] to logits (B, K).
    """

    @torch.no_grad()
    def __init__(
        self, explainer: Explainer, z: Tensor, target: Tensor, judge: Callable[[Tensor], Tensor]
    ):
        size, self.judge = explainer.chunk_size, judge
        self.session = explainer.inference.session()
        self.paths = [
            Paths.towards(explainer.classifier, some, q.unsqueeze(1), explainer.truncation)
            for some, q in zip(z.split(size), target.split(size), strict=True)
        ]

    @property
    def defined(self) -> Tensor:
        """Whether there is a step to the target, bool (N,)."""
        return torch.cat([paths.defined[:, 0] for paths in self.paths])

    @torch.no_grad()
    def seen(self, convincing_step: tuple[float, float]) -> Tensor:
        """Whether the judge sees the target in the picture in 8 bits, bool (N,).

        Where there is no step there is no counterfactual, and nothing is seen.
        """
        seen = []
        for paths in self.paths:
            steps, exist = paths.lengths(["convincing"], convincing_step)
            pictures = self.session.decode(paths.at(steps[0])[:, 0])
            predicted = self.judge(round_to_8_bits(pictures)).argmax(1)
            seen.append((predicted == paths.target[:, 0]) & exist[0, :, 0])
        return torch.cat(seen)


@dataclass(frozen=True)
class FittedOffset:
    """An offset of the convincing step.

    Attributes:
        offset: of alpha_1 = offset + slope alpha_0.
        share: of the counterfactuals in which the target is seen there.
        reached: whether that is the share that was wanted.
    """

    offset: float
    share: float
    reached: bool


def offsets_from(first: float) -> list[float]:
    """The grid: the first one, then 0.05 more each time, to 2 at most.

    Example:
        >>> offsets_from(0.8)[:3], offsets_from(0.8)[-1], offsets_from(2.5)
        ([0.8, 0.85, 0.9], 2.0, [2.5])
    """
    count = int((LAST_OFFSET - first) / SPACING + 1e-6) if first < LAST_OFFSET else 0
    return [round(first + k * SPACING, 10) for k in range(count + 1)]


def fit_offset(share_at: Callable[[float], float], first: float, wanted: float) -> FittedOffset:
    """The smallest offset of the grid at which the share is at least as large as wanted.

    They are tried one after the other, from the first one up: the share rises with the step only
    until pictures fall apart, so that halving intervals could miss the smallest. Where none reaches
    it, the smallest of those with the largest share.

    Args:
        share_at: the share at an offset.
        first: where the grid begins.
        wanted: the share, in (0, 1].
    """
    best = FittedOffset(first, -1.0, False)
    for offset in offsets_from(first):
        share = share_at(offset)
        if share >= wanted:
            return FittedOffset(offset, share, True)
        if share > best.share:
            best = FittedOffset(offset, share, False)
    return best
