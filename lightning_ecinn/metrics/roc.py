"""How well scores tell two kinds apart: the area under the curve."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import one_column

__all__ = ["ranked", "roc_auc", "weighted_auc"]


def roc_auc(negative: Tensor, positive: Tensor) -> Tensor:
    """Probability that a positive's score is above a negative's, ties count 1/2.

    The area under the receiver operating characteristic (Hanley and McNeil 1982).

    Args:
        negative: scores (N,).
        positive: scores (M,).

    Returns:
        A float64 scalar; 0.5 if the scores tell nothing.

    Raises:
        ValueError: there is no score of a kind, or one is no number.

    Example:
        >>> roc_auc(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))
        tensor(0.8750, dtype=torch.float64)
    """
    for scores in (negative, positive):
        if not len(one_column(scores, "Scores")):
            raise ValueError("An area under the curve needs a score of each kind, got none of one.")
    ones = [torch.ones(len(scores), dtype=torch.float64) for scores in (negative, positive)]
    return weighted_auc(*ranked(negative.cpu(), positive.cpu()), *ones)


def ranked(negative: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Ranks of the scores (N,) and (M,) among all, from 0; equal ones have the same."""
    _, rank = torch.cat((negative.double(), positive.double())).unique(return_inverse=True)
    return rank[: len(negative)], rank[len(negative) :]


def weighted_auc(negative: Tensor, positive: Tensor, below: Tensor, above: Tensor) -> Tensor:
    """The AUC of ranks (N,) and (M,), with weights below (N,) and above (M,)."""
    size = 1 + int(max(negative.max(), positive.max()))
    lost = negative.bincount(below, size)
    won = positive.bincount(above, size)
    return (won * (lost.cumsum(0) - lost / 2)).sum() / (won.sum() * lost.sum())
