"""Counterfactuals in closed form: direction, step length, result (Section 3.3, Appendix A)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_ecinn.preprocessing import round_to_8_bits

__all__ = [
    "PAPER_STEP",
    "Counterfactual",
    "alpha_convincing",
    "alpha_tipping",
    "class_direction",
    "explainable_pairs",
    "leads_to_target",
    "supplement_step",
]

PAPER_STEP = (4 / 5, 1 / 2)
"""alpha_1 = 4/5 + alpha_0 / 2 as (offset, slope)."""


def supplement_step(t: float = 4 / 5) -> tuple[float, float]:
    """The later supplement's alpha_t = alpha_0 + t (1 - alpha_0) as (offset, slope)."""
    return t, 1 - t


def class_direction(class_means: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Delta_pq = mean of class q - mean of class p, (..., D), for class means (K, D)."""
    return class_means[target] - class_means[source]


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


def alpha_convincing(alpha_0: Tensor, step: tuple[float, float] = PAPER_STEP) -> Tensor:
    """alpha_1 = offset + slope alpha_0; the paper's is 4/5 + alpha_0 / 2."""
    offset, slope = step
    return offset + slope * alpha_0


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


@dataclass(frozen=True)
class Counterfactual:
    """Counterfactuals of a batch; with T targets per image every shape (B, ...) is (B, T, ...).

    Attributes:
        input: (B, C, H, W), the images explained, float in [0, 1].
        image: (B, C, H, W), the counterfactuals, float in [0, 1].
        source: (B,), p: the class each input is classified as.
        target: (B,), q: the class asked for.
        alpha: (B,), length of the step; 0 where the input already is the target.
        posterior: (B, K), p(y) at the counterfactual's latent.
        latent: (B, D), the counterfactual's latent, z + alpha Delta.
        defined: (B,), whether there is a step from p to q; where not, ``image`` is the input.
    """

    input: Tensor
    image: Tensor
    source: Tensor
    target: Tensor
    alpha: Tensor
    posterior: Tensor
    latent: Tensor
    defined: Tensor

    @property
    def heatmap(self) -> Tensor:
        """ECINNh (Eq. 4): counterfactual minus input, signed, like ``image``."""
        return self.image - self.input

    @property
    def image_8bit(self) -> Tensor:
        """The counterfactuals as a person sees them: rounded to multiples of 1/255."""
        return round_to_8_bits(self.image)

    @property
    def target_posterior(self) -> Tensor:
        """p(q) at the counterfactual's latent, (B,)."""
        return torch.gather(self.posterior, -1, self.target.unsqueeze(-1)).squeeze(-1)
