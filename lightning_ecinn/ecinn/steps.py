"""The closed forms: directions, step lengths, and which pairs of classes have any."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lightning_ecinn.ecinn.settings import PAPER_STEP

__all__ = [
    "Alpha",
    "NamedStep",
    "alpha_convincing",
    "alpha_star",
    "alpha_tipping",
    "class_direction",
    "explainable_pairs",
    "leads_to_target",
    "supplement_step",
    "truncated_direction",
]

NamedStep = Literal["tipping", "convincing", "star", "certified"]
"""The steps that have a name: alpha_0, alpha_1, alpha_star, and the certified step."""

Alpha = NamedStep | float | Tensor
"""What one may ask for: a step by its name, or a length."""


def supplement_step(t: float = 4 / 5) -> tuple[float, float]:
    """The later supplement's alpha_t = alpha_0 + t (1 - alpha_0) as (offset, slope)."""
    return t, 1 - t


def class_direction(class_means: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Delta_pq = mean of class q - mean of class p, (..., D), for class means (K, D)."""
    return class_means[target] - class_means[source]


def truncated_direction(direction: Tensor, z: Tensor, mean_source: Tensor, psi: float) -> Tensor:
    r"""The direction that also brings the latent nearer to its class mean, for 0 <= psi <= 1.

    .. math:: \Delta_{pq} - (1 - \psi) (z - \bar\mu_p)

    so that at alpha = 1 the latent is mu-bar_q + psi (z - mu-bar_p): the truncation trick of Brock
    et al. (2019), about the target's mean. psi = 1 is ECINN's direction.

    Args:
        direction: Delta_pq (..., D).
        z: latents (..., D).
        mean_source: class mean of p, (..., D).
        psi: the truncation.
    """
    return direction if psi == 1 else direction - (1 - psi) * (z - mean_source)


def alpha_tipping(z: Tensor, direction: Tensor, mu_source: Tensor, mu_target: Tensor) -> Tensor:
    r"""Step at which source and target are equally likely (Appendix A).

    .. math::
        \alpha_0 = -\frac{w^T z + b}{w^T \Delta_{pq}}, \qquad w = \mu_q - \mu_p, \quad
        b = -\tfrac12 (\mu_p + \mu_q)^T w

    Args:
        z: latents (..., D).
        direction: Delta_pq (..., D).
        mu_source: the mixture's component mean of class p, (..., D).
        mu_target: that of class q.

    Returns:
        alpha_0 (...). Only meaningful where w . Delta > 0: see :func:`explainable_pairs`.
    """
    w = mu_target - mu_source
    # w.z + b = w.(z - midpoint), without the cancellation of two large terms.
    distance = (w * (z - (mu_source + mu_target) / 2)).sum(-1)
    return -distance / (w * direction).sum(-1)


def alpha_convincing(alpha_0: Tensor, convincing_step: tuple[float, float] = PAPER_STEP) -> Tensor:
    """alpha_1 = offset + slope alpha_0; the paper's is 4/5 + alpha_0 / 2."""
    offset, slope = convincing_step
    return offset + slope * alpha_0


def alpha_star(
    z: Tensor, direction: Tensor, component_means: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    r"""The smallest step alpha >= 0 after which no class is likelier than the target q.

    For each class r, with w = mu_q - mu_r, it takes

    .. math:: m_r + \alpha \, w^T \Delta \ge 0, \qquad m_r = w^T (z - \tfrac12 (\mu_q + \mu_r))

    alpha is the largest of the bounds from below, those with w . Delta > 0; there is none where
    another class's condition fails there.

    Args:
        z: latents (..., D).
        direction: Delta (..., D).
        component_means: of the mixture, (K, D).
        target: q, (...).

    Returns:
        alpha (...), 0 where there is none, and whether there is one, bool (...).
    """
    mu_target = component_means[target]
    margins, slopes = [], []
    for mu in component_means:
        w = mu_target - mu
        margins.append((w * (z - (mu + mu_target) / 2)).sum(-1))
        slopes.append((w * direction).sum(-1))
    margin, slope = torch.stack(margins, -1), torch.stack(slopes, -1)
    rises = slope > 0
    alpha = torch.where(rises, -margin / slope, 0).amax(-1).clamp(min=0)
    holds = rises | (margin + alpha.unsqueeze(-1) * slope >= 0)
    exists = holds.all(-1) & alpha.isfinite()
    return alpha.masked_fill(~exists, 0), exists


def leads_to_target(mu_source: Tensor, mu_target: Tensor, direction: Tensor) -> Tensor:
    """Whether a step along Delta_pq makes q likelier beside p: w . Delta > 0, bool (...)."""
    return ((mu_target - mu_source) * direction).sum(-1) > 0


def explainable_pairs(component_means: Tensor, class_means: Tensor, counts: Tensor) -> Tensor:
    """Which class pairs (p, q) have a tipping point along Delta_pq, bool (K, K).

    Both classes need a mean, and w . Delta must be positive: the step must lead towards q.
    """
    rows = [
        leads_to_target(mu_source, component_means, class_means - mean)
        for mu_source, mean in zip(component_means, class_means, strict=True)
    ]
    has_mean = counts > 0
    return torch.stack(rows) & has_mean.unsqueeze(0) & has_mean.unsqueeze(1)
