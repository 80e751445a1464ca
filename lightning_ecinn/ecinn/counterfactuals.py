"""Counterfactuals in closed form: direction, step length, result (Section 3.3, Appendix A)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_ecinn.ecinn.certificates import Certificate
from lightning_ecinn.models.preprocessing import round_to_8_bits

__all__ = [
    "PAPER_STEP",
    "Counterfactual",
    "Step",
    "alpha_convincing",
    "alpha_star",
    "alpha_tipping",
    "check_path",
    "class_direction",
    "explainable_pairs",
    "leads_to_target",
    "smallest_passing_step",
    "supplement_step",
    "truncated_direction",
]

PAPER_STEP = (4 / 5, 1 / 2)
"""alpha_1 = 4/5 + alpha_0 / 2 as (offset, slope)."""

Step = Literal["tipping", "convincing", "star", "certified"]
"""The steps that have a name: alpha_0, alpha_1, alpha_star, and the certified step."""

_OFFSETS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_BISECTIONS = 8


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


def alpha_convincing(alpha_0: Tensor, step: tuple[float, float] = PAPER_STEP) -> Tensor:
    """alpha_1 = offset + slope alpha_0; the paper's is 4/5 + alpha_0 / 2."""
    offset, slope = step
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


def smallest_passing_step(
    attempt: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Search for the smallest steps that pass a test, several at once.

    From `start` up in doubling steps (0.05, 0.1, 0.2, ... to 3.2 beyond it) until a step passes,
    then 8 bisections between it and the one before: the answer is a step that was tried, within
    1/256 of that interval of the smallest if the test, once passed, passes from there on; nothing
    promises that. No step is tried more than 16 times.

    Args:
        attempt: makes pictures (M, ...) of steps (M,) of the counterfactuals with the given
            numbers (M,), and says which pass, bool (M,).
        start: (N,), where to begin, N at least 1.

    Returns:
        The steps (N,), where none passes the last one tried; their pictures (N, ...); and how
        many attempts each took, (N,).
    """
    low, high = start.clone(), start.clone()
    passed = torch.zeros_like(start, dtype=torch.bool)
    attempts = torch.zeros_like(start, dtype=torch.long)
    pictures: Any = None
    for offset in _OFFSETS:
        todo = (~passed).nonzero().squeeze(1)
        if not len(todo):
            break
        low[todo], high[todo] = high[todo], start[todo] + offset
        tried, passed[todo] = attempt(high[todo], todo)
        if pictures is None:
            pictures = tried
        else:
            pictures[todo] = tried
        attempts[todo] += 1
    todo = (passed & (low < high)).nonzero().squeeze(1)
    for _ in range(_BISECTIONS if len(todo) else 0):
        middle = (low[todo] + high[todo]) / 2
        tried, good = attempt(middle, todo)
        low[todo[~good]], high[todo[good]] = middle[~good], middle[good]
        pictures[todo[good]] = tried[good]
        attempts[todo] += 1
    return high, pictures, attempts


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


def check_path(truncation: float, confidence: float) -> None:
    """Refuse a truncation outside [0, 1] and a confidence that is not between 0 and 1."""
    if not 0 <= truncation <= 1:
        raise ValueError(f"truncation is {truncation}; give a number from 0 to 1.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}; give a number between 0 and 1.")


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
        defined: (B,), whether there is a step from p to q, for alpha_star and the certified step
            one that puts q before every class; where not, ``image`` is the input.
        forward_evaluations: (B,), network evaluations that it cost; encoding the image counts
            once for each of its targets and steps.
        inverse_evaluations: (B,), inverse ones.
    """

    input: Tensor
    image: Tensor
    source: Tensor
    target: Tensor
    alpha: Tensor
    posterior: Tensor
    latent: Tensor
    defined: Tensor
    forward_evaluations: Tensor
    inverse_evaluations: Tensor
    _certify: Callable[[Counterfactual], Certificate] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the classifier, which stays where it is."""
        return {**vars(self), "_certify": None}

    @cached_property
    def certificate(self) -> Certificate:
        """What the classifier says of the picture as a person sees it; computed once, when asked.

        Raises:
            ValueError: the classifier has changed since, or this counterfactual comes from a file
                or another process and nobody had asked there.
        """
        if self._certify is None:
            raise ValueError(
                "This counterfactual was stored or sent without its certificate, which needs the "
                "classifier: read .certificate before that, or explain again."
            )
        return self._certify(self)

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
