"""Confidences that mean what they say: one temperature for all logits."""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["fit_temperature"]

_LARGEST_LOG = 60.0
_BISECTIONS = 80


def fit_temperature(logits: Tensor, labels: Tensor) -> float | None:
    r"""The temperature T > 0 at which labels are likeliest (Guo et al., arXiv 1706.04599).

    .. math:: \min_T \; -\frac1N \sum_i \log \mathrm{softmax}(s_i / T)_{y_i}

    In beta = 1 / T it is convex, with the derivative mean(E_softmax(beta s)[s] - s_y), which rises
    with beta: its zero is found by bisection, in float64.

    Args:
        logits: s, (N, K), at T = 1.
        labels: y, (N,).

    Returns:
        T; None where none is best: every label has the largest logit, so that T -> 0 is ever
        likelier, or the logits say nothing of the labels, so that T -> infinity is.

    Raises:
        ValueError: there is no image, or logits are not finite.

    Example:
        >>> logits = torch.tensor([[4.0, 0.0]] * 4)  # says 98 % of what is right in 3 of 4
        >>> temperature = fit_temperature(logits, torch.tensor([0, 0, 0, 1]))
        >>> (logits[0] / temperature).softmax(0)
        tensor([0.7500, 0.2500])
    """
    if not len(logits) or not logits.isfinite().all():
        raise ValueError(
            f"A temperature needs finite logits (N, K) of at least one image, got shape "
            f"{tuple(logits.shape)}, {int((~logits.isfinite()).sum())} of them not finite."
        )
    s = logits.double() - logits.double().amax(1, keepdim=True)
    own = s.gather(1, labels.unsqueeze(1)).squeeze(1)
    if not own.mean() < 0 or not s.mean() < own.mean():
        return None
    low, high = -_LARGEST_LOG, _LARGEST_LOG
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        expected = (s * (s * math.exp(middle)).softmax(1)).sum(1)
        low, high = (low, middle) if (expected - own).mean() > 0 else (middle, high)
    return math.exp(-(low + high) / 2)
