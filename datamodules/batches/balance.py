"""Classes that are seen equally often, however many images each has."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["UNBALANCED", "balanced_order", "is_unbalanced", "largest_to_smallest"]

UNBALANCED = 1.5
"""How many times the smallest class the largest one must be for the difference to matter: below it
every class is seen often enough as it is, and no image need be seen twice."""


def largest_to_smallest(labels: Tensor) -> float:
    """Return how many times the images of the smallest class the largest one has.

    Args:
        labels: (N,) int64; classes without an image do not count.
    """
    counts = labels.unique(return_counts=True)[1]
    return float(counts.max() / counts.min()) if len(counts) else 1.0


def is_unbalanced(labels: Tensor) -> bool:
    """Whether the classes of labels (N,) differ so much in size that they are better balanced."""
    return largest_to_smallest(labels) > UNBALANCED


def balanced_order(labels: Tensor, state: np.random.RandomState) -> Tensor:
    """Return N indices in random order, of every class equally many to within one.

    A small class is gone through again and again, so that its images are seen equally often to
    within once; of a large one other images are left out each time.

    Args:
        labels: (N,) int64; a class without an image is left out.
        state: draws the order, and which classes have the one image more.

    Returns:
        (N,) int64.
    """
    classes = labels.unique().tolist()
    share, rest = divmod(len(labels), len(classes))
    has_more = state.permutation(len(classes)) < rest
    drawn = [
        _drawn((labels == k).nonzero().flatten().numpy(), share + int(more), state)
        for k, more in zip(classes, has_more, strict=True)
    ]
    return torch.from_numpy(state.permutation(np.concatenate(drawn)))


def _drawn(members: np.ndarray, count: int, state: np.random.RandomState) -> np.ndarray:
    """Return `count` of the indices `members`, each one once before any comes again."""
    rounds = -(-count // len(members))
    return np.concatenate([state.permutation(members) for _ in range(rounds)])[:count]
