"""What classifiers say of counterfactuals: the one that is explained, and independent oracles."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import finite, one_class_each

__all__ = ["difference", "flip", "label_variation", "log_odds", "tipping_gap", "validity"]

_TOLERANCE = 0.01  # of rows of posteriors, which may have been computed in 16 bits


def validity(predicted: Tensor, target: Tensor) -> Tensor:
    """Whether the predicted class (B,) of a counterfactual is the one asked for, bool (B,).

    Of the classes that an independently trained classifier sees, it is that oracle's agreement
    (arXiv 2111.00177).

    Example:
        >>> validity(torch.tensor([8, 3]), torch.tensor([8, 5]))
        tensor([ True, False])
    """
    one_class_each(predicted, target, "predicted and target")
    return predicted == target


def flip(predicted: Tensor, source: Tensor) -> Tensor:
    """Whether the predicted class (B,) of a counterfactual is no more the input's, bool (B,).

    Example:
        >>> flip(torch.tensor([8, 3]), torch.tensor([3, 3]))
        tensor([ True, False])
    """
    one_class_each(predicted, source, "predicted and source")
    return predicted != source


def log_odds(log_posterior: Tensor, target: Tensor, source: Tensor) -> Tensor:
    """How much likelier target than source is: log p(q) - log p(p), nats.

    Args:
        log_posterior: log p(y), or logits, (..., K).
        target: q, (...).
        source: p, (...).

    Returns:
        (...), in the precision given; 0 where both classes are equally likely.

    Raises:
        ValueError: for shapes, types or classes that do not fit, and what is not finite.

    Example:
        >>> log_odds(torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([2]), torch.tensor([1]))
        tensor([3.])
    """
    one_class_each(target, source, "target and source")
    finite(log_posterior, "log_posterior")
    if log_posterior.shape[:-1] != target.shape or not log_posterior.is_floating_point():
        raise ValueError(
            f"log_posterior must be float of shape (..., K) for classes {tuple(target.shape)}, got "
            f"{log_posterior.dtype} of shape {tuple(log_posterior.shape)}."
        )
    q, p, num_classes = target.long(), source.long(), log_posterior.shape[-1]
    if q.numel() and (min(q.min(), p.min()) < 0 or max(q.max(), p.max()) >= num_classes):
        raise ValueError(f"target and source must be classes from 0 to {num_classes - 1}.")
    return finite(difference(log_posterior, q, p), "The difference of log posteriors")


def difference(log_posterior: Tensor, target: Tensor, source: Tensor) -> Tensor:
    """:func:`log_odds` of what has been checked, int64 classes."""
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
    p, q = (finite(v, "Posteriors").double() for v in (p, q))
    if p.ndim != 2 or p.shape != q.shape:
        raise ValueError(
            f"Posteriors must be (B, K) of one shape, got {tuple(p.shape)} and {tuple(q.shape)}."
        )
    if any((v < 0).any() or ((v.sum(1) - 1).abs() > _TOLERANCE).any() for v in (p, q)):
        raise ValueError("Posteriors must be probabilities, rows that add up to 1: use softmax.")
    entropy = lambda distribution: torch.special.entr(distribution).sum(1)  # noqa: E731
    return (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).clamp(0, math.log(2))
