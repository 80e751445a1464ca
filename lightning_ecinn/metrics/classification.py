"""What classifiers say of counterfactuals: the one that is explained, and independent oracles."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["flip", "label_variation", "log_odds", "tipping_gap", "validity"]


def validity(predicted: Tensor, target: Tensor) -> Tensor:
    """Whether the predicted class (B,) of a counterfactual is the one asked for, bool (B,).

    Of the classes that an independently trained classifier sees, it is that oracle's agreement
    (arXiv 2111.00177).

    Example:
        >>> validity(torch.tensor([8, 3]), torch.tensor([8, 5]))
        tensor([ True, False])
    """
    return predicted == target


def flip(predicted: Tensor, source: Tensor) -> Tensor:
    """Whether the predicted class (B,) of a counterfactual is no more the input's, bool (B,).

    Example:
        >>> flip(torch.tensor([8, 3]), torch.tensor([3, 3]))
        tensor([ True, False])
    """
    return predicted != source


def log_odds(log_posterior: Tensor, target: Tensor, source: Tensor) -> Tensor:
    """How much likelier target than source is: log p(q) - log p(p), nats.

    Args:
        log_posterior: log p(y), or logits, (..., K).
        target: q, (...).
        source: p, (...).

    Returns:
        (...), in the precision given; 0 where both classes are equally likely.

    Example:
        >>> log_odds(torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([2]), torch.tensor([1]))
        tensor([3.])
    """
    pair = torch.stack((target, source), -1)
    log_q, log_p = log_posterior.gather(-1, pair).unbind(-1)
    return log_q - log_p


def tipping_gap(log_posterior: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """How far source and target are from equally likely: abs(log p(p|c) - log p(q|c)), nats.

    Args:
        log_posterior: log p(y|c), or logits, (..., K).
        source: p, (...).
        target: q, (...).

    Returns:
        (...), in the precision given; 0 at a tipping point.

    Example:
        >>> tipping_gap(torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([2]), torch.tensor([1]))
        tensor([3.])
    """
    return log_odds(log_posterior, target, source).abs()


def label_variation(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence of an oracle's posteriors on x and on c, nats.

    Its mean is the label variation score of the oracle's label (arXiv 2111.00177): high for the
    label that was edited, low for the others.

    Args:
        p: posterior on the input, (B, K), rows that add up to 1.
        q: posterior on the counterfactual, (B, K).

    Returns:
        (B,) float64 in [0, log 2].

    Example:
        >>> label_variation(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
        tensor([0.6931], dtype=torch.float64)
    """
    p, q = p.double(), q.double()
    entropy = lambda distribution: torch.special.entr(distribution).sum(1)  # noqa: E731
    return (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).clamp_min(0)
