"""What classifiers say of counterfactuals: the one that is explained, and independent oracles."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["flip", "label_variation", "oracle_agreement", "tipping_gap", "validity"]


def validity(predicted: Tensor, target: Tensor) -> Tensor:
    """Whether the predicted class (B,) of a counterfactual is the one asked for, bool (B,)."""
    return predicted == target


def flip(predicted: Tensor, source: Tensor) -> Tensor:
    """Whether the predicted class (B,) of a counterfactual is no more the input's, bool (B,)."""
    return predicted != source


def tipping_gap(log_posterior: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """How far source and target are from equally likely: abs(log p(p|c) - log p(q|c)), nats.

    Args:
        log_posterior: log p(y|c), or logits, (B, K).
        source: p, (B,).
        target: q, (B,).

    Returns:
        (B,) float64; 0 at a tipping point.
    """
    pair = log_posterior.double().gather(1, torch.stack((source, target), 1))
    return (pair[:, 0] - pair[:, 1]).abs()


@torch.no_grad()
def oracle_agreement(oracle: Callable[[Tensor], Tensor], c: Tensor, target: Tensor) -> Tensor:
    """Whether an independently trained classifier sees the class asked for (arXiv 2111.00177).

    Args:
        oracle: pictures (B, C, H, W) to logits (B, K), in evaluation mode.
        c: counterfactuals, (B, C, H, W) in [0, 1].
        target: q, (B,).

    Returns:
        bool (B,).
    """
    return oracle(c).argmax(1) == target


def label_variation(p: Tensor, q: Tensor) -> Tensor:
    """Jensen-Shannon divergence of an oracle's posteriors on x and on c, nats.

    Its mean is the label variation score of the oracle's label (arXiv 2111.00177): high for the
    label that was edited, low for the others.

    Args:
        p: posterior on the input, (B, K), rows that add up to 1.
        q: posterior on the counterfactual, (B, K).

    Returns:
        (B,) float64 in [0, log 2].
    """
    p, q = p.double(), q.double()
    entropy = lambda distribution: torch.special.entr(distribution).sum(1)  # noqa: E731
    return (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).clamp_min(0)
