"""Mean latents of the classes: the only thing ECINN learns from data (Section 3.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = ["ClassMeans"]


class ClassMeans(Metric):
    r"""Mean latent of the images *classified* as each class, in double precision.

    .. math:: \bar\mu_j = \frac{1}{|G_j|} \sum_{x \in G_j} f(x), \qquad G_j = \{x | C(x) = j\}

    Sums are float64 and are added over processes, so that the result does not depend on how the
    images were spread.

    Args:
        num_classes: K.
        num_dims: D.
        **kwargs: passed to :class:`torchmetrics.Metric`.
    """

    full_state_update = False
    sums: Tensor
    counts: Tensor

    def __init__(self, num_classes: int, num_dims: int, **kwargs: Any):
        super().__init__(**kwargs)
        sums = torch.zeros(num_classes, num_dims, dtype=torch.float64)
        counts = torch.zeros(num_classes, dtype=torch.long)
        self.add_state("sums", sums, dist_reduce_fx="sum")
        self.add_state("counts", counts, dist_reduce_fx="sum")

    def update(self, z: Tensor, predicted: Tensor) -> None:
        """Add latents z (B, D) of images classified as predicted (B,)."""
        self.sums.index_add_(0, predicted, z.to(torch.float64))
        self.counts += torch.bincount(predicted, minlength=len(self.counts))

    def compute(self) -> tuple[Tensor, Tensor]:
        """Means (K, D) in float64, zero where no image was seen, and counts (K,)."""
        return self.sums / self.counts.clamp(min=1).unsqueeze(1), self.counts.clone()
