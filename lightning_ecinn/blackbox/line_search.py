"""The smallest steps along lines at which a classifier says what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LONGEST", "MOST_ATTEMPTS", "Found", "first_passing_step"]

_GRID = (*(k / 10 for k in range(1, 16)), 1.75, 2.0, 2.25, 2.5, 2.75, 3.0)
_BISECTIONS = 5
LONGEST = _GRID[-1]
"""The longest step that is tried, in units of the direction."""
MOST_ATTEMPTS = len(_GRID) + _BISECTIONS
"""Pictures that are made of one image for one target."""

Attempt = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass
class Found:
    """What a search of N lines came to.

    Attributes:
        alpha: (N,), the steps; 0 where there is none.
        passed: (N,), bool.
        pictures: (N, C, H, W), what was made there.
        probabilities: (N, K), what the classifier says of it in 8 bits.
        attempts: (N,), how many were made.
    """

    alpha: Tensor
    passed: Tensor
    pictures: Tensor
    probabilities: Tensor
    attempts: Tensor

    def put(self, index: Tensor, alpha: Tensor, pictures: Tensor, probabilities: Tensor) -> None:
        """Note steps (M,) of lines (M,) and what they gave."""
        self.alpha[index], self.passed[index] = alpha, True
        self.pictures[index], self.probabilities[index] = pictures, probabilities


def first_passing_step(attempt: Attempt, inputs: Tensor, num_classes: int) -> Found:
    """The first step of a grid that passes, and then the smallest between it and the one before.

    The grid goes up by 0.1 to 1.5 and by 0.25 to 3; 5 bisections follow, so that the answer, which
    is a step that was tried, is within 0.0032 of a boundary (0.008 beyond 1.5): of the first, if
    the classifier says nothing else between two steps of the grid.

    Args:
        attempt: makes pictures (M, C, H, W) of steps (M,) along the lines with the given numbers
            (M,), says what the classifier thinks of them, (M, K), and which pass, bool (M,).
        inputs: (N, C, H, W), where the lines begin: what is kept where no step passes.
        num_classes: K.
    """
    count = len(inputs)
    alpha = inputs.new_zeros(count)
    found = Found(
        alpha,
        torch.zeros(count, dtype=torch.bool, device=inputs.device),
        inputs.clone(),
        alpha.double().unsqueeze(1).repeat(1, num_classes),
        torch.zeros(count, dtype=torch.long, device=inputs.device),
    )
    low = alpha.clone()
    for before, step in zip((0.0, *_GRID), _GRID, strict=False):
        todo = (~found.passed).nonzero().squeeze(1)
        if not len(todo):
            break
        passed = _try(attempt, found, todo, alpha.new_full((len(todo),), step))
        low[todo[passed]] = before
    between = found.passed.nonzero().squeeze(1)
    for _ in range(_BISECTIONS if len(between) else 0):
        middle = (low[between] + found.alpha[between]) / 2
        passed = _try(attempt, found, between, middle)
        low[between[~passed]] = middle[~passed]
    return found


def _try(attempt: Attempt, found: Found, index: Tensor, alpha: Tensor) -> Tensor:
    """Attempt steps (M,) of lines (M,); which passed, (M,), and note those."""
    pictures, probabilities, passed = attempt(alpha, index)
    found.attempts[index] += 1
    found.put(index[passed], alpha[passed], pictures[passed], probabilities[passed])
    return passed
