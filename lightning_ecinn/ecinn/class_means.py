"""Mean latents of the classes: the only thing ECINN learns from data (Section 3.3)."""

from __future__ import annotations

from operator import index
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = ["ClassMeans", "check_significance", "significant_means"]


class ClassMeans(Metric):
    r"""Mean latent of the images *classified* as each class, in double precision.

    .. math:: \bar\mu_j = \frac{1}{|G_j|} \sum_{x \in G_j} f(x), \qquad G_j = \{x | C(x) = j\}

    Sums are float64 and are added over processes, so that the result does not depend on how the
    images were spread.

    Args:
        num_classes: K.
        num_dims: D.
        significance: level of :func:`significant_means`; None, as in the paper, for plain means.
        **kwargs: passed to :class:`torchmetrics.Metric`.

    Example:
        >>> class_means = ClassMeans(num_classes=2, num_dims=3)
        >>> z = torch.tensor([[1.0, 0.0, 0.0], [3.0, 2.0, 0.0]])
        >>> class_means.update(z, predicted=torch.tensor([1, 1]))
        >>> means, counts = class_means.compute()
        >>> means.tolist(), counts.tolist()
        ([[0.0, 0.0, 0.0], [2.0, 1.0, 0.0]], [0, 2])
    """

    full_state_update = False
    sums: Tensor
    squares: Tensor
    counts: Tensor

    def __init__(
        self, num_classes: int, num_dims: int, significance: float | None = None, **kwargs: Any
    ):
        check_significance(significance)
        if min(index(num_classes), index(num_dims)) < 1:
            raise ValueError(
                f"Class means need 1 class and 1 dimension at least, got {num_classes} and "
                f"{num_dims}."
            )
        super().__init__(**kwargs)
        self.significance = significance
        sums = torch.zeros(num_classes, num_dims, dtype=torch.float64)
        squares = torch.zeros(num_dims, dtype=torch.float64)
        counts = torch.zeros(num_classes, dtype=torch.long)
        self.add_state("squares", squares, dist_reduce_fx="sum")
        self.add_state("sums", sums, dist_reduce_fx="sum")
        self.add_state("counts", counts, dist_reduce_fx="sum")

    def update(self, z: Tensor, predicted: Tensor) -> None:
        """Add latents z (B, D) of images classified as predicted (B,)."""
        self._check(z, predicted)
        z = z.to(torch.float64)
        predicted = predicted.long()
        self.sums.index_add_(0, predicted, z)
        self.squares += z.square().sum(0)
        self.counts += torch.bincount(predicted, minlength=len(self.counts))

    def _check(self, z: Tensor, predicted: Tensor) -> None:
        num_classes, num_dims = self.sums.shape
        if z.ndim != 2 or z.shape[1] != num_dims or predicted.shape != z.shape[:1]:
            raise ValueError(
                f"Latents must be (B, {num_dims}) with one class each, got {tuple(z.shape)} and "
                f"{tuple(predicted.shape)}."
            )
        if len(z) and not (predicted.min() >= 0 and predicted.max() < num_classes):
            raise ValueError(f"predicted must be classes from 0 to {num_classes - 1}.")
        if not z.isfinite().all():
            raise ValueError(
                "Latents must be finite to have a mean: the classifier's training has diverged; "
                "take an earlier checkpoint."
            )

    def compute(self) -> tuple[Tensor, Tensor]:
        """Means (K, D) in float64, zero where no image was seen, and counts (K,)."""
        means, counts = self.sums / self.counts.clamp(min=1).unsqueeze(1), self.counts.clone()
        if self.significance is not None:
            between = (counts.unsqueeze(1) * means.square()).sum(0)
            freedom = (counts.sum() - (counts > 0).sum()).clamp(min=1)
            variances = ((self.squares - between) / freedom).clamp(min=0)
            means = significant_means(means, counts, variances, self.significance)
        return means, counts


def significant_means(means: Tensor, counts: Tensor, variances: Tensor, level: float) -> Tensor:
    r"""Class means that differ only in latents in which classes differ significantly.

    A mean over n images is off by 1 / sqrt(n) standard deviations in every latent, and the
    difference of two means takes that into every picture. Where an analysis of variance finds no
    difference between the classes, all get the mean of all (cf. nearest shrunken centroids,
    Tibshirani et al. 2002):

    .. math::
        \chi_i^2 = \sum_j |G_j| (\bar\mu_{ji} - \bar\mu_i)^2 / s_i^2, \qquad
        P(\chi^2_{K - 1} > \chi_i^2) \ge \text{level} / D

    Args:
        means: (K, D).
        counts: (K,), images that each mean is over.
        variances: (D,), s^2: variances within the classes.
        level: of significance over all D latents together (Bonferroni), in (0, 1).

    Returns:
        (K, D); rows of classes without images as they are.
    """
    has_images = counts > 0
    weights = counts.to(means).unsqueeze(1)
    overall = (weights * means).sum(0) / weights.sum().clamp(min=1)
    between = (weights * (means - overall).square()).sum(0)
    chi_squared = between / variances.clamp(min=torch.finfo(means.dtype).tiny)
    freedom = (has_images.sum() - 1).clamp(min=1).to(means)
    p_value = torch.special.gammaincc(freedom / 2, chi_squared / 2)
    is_noise = p_value >= level / means.shape[1]
    return torch.where(is_noise & has_images.unsqueeze(1), overall, means)


def check_significance(level: float | None) -> None:
    """Refuse a level of significance that is none."""
    if level is not None and not (isinstance(level, int | float) and 0 < level < 1):
        raise ValueError(f"significance is {level!r}; give a number between 0 and 1, or nothing.")
