"""The search for the smallest step whose picture, as a person sees it, is what was asked for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_ecinn.ecinn.inference import Session
from lightning_ecinn.models.preprocessing import round_to_8_bits

__all__ = ["certified_step", "smallest_passing_step"]

_OFFSETS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_BISECTIONS = 8

_MARGIN = 1e-3
"""Share of 1 - confidence asked for on top: rounding errors differ from batch to batch."""

Attempt = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def certified_step(
    session: Session,
    z: Tensor,
    direction: Tensor,
    target: Tensor,
    start: Tensor,
    confidence: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The smallest steps whose pictures in 8 bits are the target with at least the confidence.

    Args:
        session: with the classifier.
        z: latents (N, D).
        direction: Delta (N, D).
        target: q, (N,).
        start: (N,), where to begin: alpha_star.
        confidence: the posterior to reach.

    Returns:
        As :func:`smallest_passing_step`, with pictures (N, C, H, W) that are not rounded.
    """
    confidence = confidence + _MARGIN * (1 - confidence)

    def attempt(alpha: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        pictures = session.decode(torch.addcmul(z[index], alpha.unsqueeze(1), direction[index]))
        seen = session.latents(round_to_8_bits(pictures))
        posterior, q = session.network.mixture.log_posterior(seen).exp(), target[index]
        confident = posterior.gather(1, q.unsqueeze(1)).squeeze(1) >= confidence
        return pictures, confident & (posterior.argmax(1) == q)

    return smallest_passing_step(attempt, start)


def smallest_passing_step(attempt: Attempt, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
    low, high, pictures, passed, attempts = _doubled(attempt, start)
    todo = (passed & (low < high)).nonzero().squeeze(1)
    for _ in range(_BISECTIONS if len(todo) else 0):
        middle = (low[todo] + high[todo]) / 2
        tried, good = attempt(middle, todo)
        low[todo[~good]], high[todo[good]] = middle[~good], middle[good]
        pictures[todo[good]] = tried[good]
        attempts[todo] += 1
    return high, pictures, attempts


def _doubled(attempt: Attempt, start: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The last two steps tried, the last one's picture, whether it passed, and attempts."""
    high = start + _OFFSETS[0]
    low, everything = high.clone(), torch.arange(len(start), device=start.device)
    pictures, passed = attempt(high, everything)
    attempts = torch.ones_like(start, dtype=torch.long)
    for offset in _OFFSETS[1:]:
        todo = (~passed).nonzero().squeeze(1)
        if not len(todo):
            break
        low[todo], high[todo] = high[todo], start[todo] + offset
        pictures[todo], passed[todo] = attempt(high[todo], todo)
        attempts[todo] += 1
    return low, high, pictures, passed, attempts
