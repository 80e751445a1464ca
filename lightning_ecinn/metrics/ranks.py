"""Whether two properties go together, within groups: Spearman's rank correlation."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import is_number, is_whole, one_class_each, one_column

__all__ = ["comparable", "rank_correlation", "rank_correlation_interval"]

_AT_ONCE = 4_000_000
"""Weights of a bootstrap's samples in memory at once."""


def rank_correlation(a: Tensor, b: Tensor, groups: Tensor | None = None) -> float:
    """Spearman's correlation within groups: their mean, weighted by their sizes.

    That is Pearson's correlation of the ranks within each group, of mean 0 and variance 1 there.
    Nothing is left of what differs between groups: that all of a tall class become another tall
    class makes no correlation.

    Args:
        a: (N,), finite.
        b: (N,), finite.
        groups: whole numbers (N,); all are one group without them.

    Returns:
        In [-1, 1]; equal values share their mean rank. Groups in which a or b does not vary have
        no correlation and are left out, see :func:`comparable`; NaN if there is no other. Few
        rows have few ranks: of 0.94 in a large group 0.91 is left in groups of 11, on average.

    Raises:
        ValueError: for different shapes, or values that are not finite.

    Example:
        >>> a, b = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 9.0, 3.0, 2.0])
        >>> rank_correlation(a, b, torch.tensor([0, 0, 1, 1]))
        0.0
    """
    u, v, known = _scores(*_checked(a, b, groups))
    return float((u * v)[known].mean())


def rank_correlation_interval(
    a: Tensor,
    b: Tensor,
    groups: Tensor | None = None,
    *,
    images: Tensor | None = None,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of :func:`rank_correlation`.

    Each sample's is Pearson's correlation of the ranks as they are among all: to rank a few rows
    anew, some of them twice, would make every small group's correlation smaller.

    Args:
        a: (N,), finite.
        b: (N,), finite.
        groups: whole numbers (N,); all are one group without them.
        images: whole numbers (N,): the rows of one are drawn together; each alone without them.
        samples: how often as many images are drawn with replacement.
        level: share of the samples' correlations inside the interval.
        seed: of the draws.

    Returns:
        Low and high end; NaN if there is no correlation in any sample.

    Raises:
        ValueError: for different shapes, values that are not finite, or a level that is no share.

    Example:
        >>> a = torch.arange(50.0)
        >>> low, high = rank_correlation_interval(a, a + 20 * (a % 2), samples=200)
        >>> low < rank_correlation(a, a + 20 * (a % 2)) < high
        True
    """
    a, b, groups = _checked(a, b, groups)
    images = torch.arange(len(a)) if images is None else images
    one_class_each(images, groups, "images and groups")
    whole = is_whole(samples) and is_whole(seed) and samples >= 1
    if not whole or not is_number(level) or not 0 < level < 1:
        raise ValueError(
            f"level is {level} and samples {samples}; give a share between 0 and 1, and 1 or more."
        )
    u, v, known = _scores(a, b, groups)
    if not known.any():
        return math.nan, math.nan
    products = torch.stack((u * v, u * u, v * v), 1)[known]
    chunks = _resampled(images.cpu()[known], samples, seed)
    sums = torch.cat([weights @ products for weights in chunks])
    found = sums[:, 0] / (sums[:, 1] * sums[:, 2]).sqrt()
    tail = (1 - level) / 2
    low, high = found.nanquantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


def comparable(a: Tensor, b: Tensor, groups: Tensor) -> Tensor:
    """Which rows are in a group that has a rank correlation: one in which both a and b vary.

    Args:
        a: (N,), finite.
        b: (N,), finite.
        groups: whole numbers (N,).

    Returns:
        bool (N,).

    Example:
        >>> a = torch.tensor([1.0, 2.0, 3.0])
        >>> comparable(a, a, torch.tensor([0, 0, 1]))
        tensor([ True,  True, False])
    """
    return _scores(*_checked(a, b, groups))[2]


def _scores(a: Tensor, b: Tensor, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ranks of a and b within groups, of mean 0 and variance 1, and where there are any, (N,)."""
    u, v = torch.zeros(2, len(a), dtype=torch.float64)
    known = torch.zeros(len(a), dtype=torch.bool)
    for rows in _of_each(groups):
        pair = [_ranks(values[rows]) for values in (a, b)]
        if all(ranks.any() for ranks in pair):
            u[rows], v[rows] = (ranks / ranks.square().mean().sqrt() for ranks in pair)
            known[rows] = True
    return u, v, known


def _ranks(values: Tensor) -> Tensor:
    """Ranks of values (n,), equal ones sharing their mean rank, less the mean of all; exact."""
    _, number, counts = values.unique(return_inverse=True, return_counts=True)
    counts = counts.double()
    return (counts.cumsum(0) - counts / 2 - len(values) / 2)[number]


def _resampled(images: Tensor, samples: int, seed: int) -> Iterator[Tensor]:
    """How often each row is drawn, its image's others with it: (S, N), some samples at a time."""
    distinct, number = images.unique(return_inverse=True)
    n, generator = len(distinct), torch.Generator().manual_seed(seed)
    for chunk in torch.arange(samples).split(max(1, _AT_ONCE // len(images))):
        draws = (torch.randint(n, (n,), generator=generator) for _ in chunk)
        drawn = torch.stack([draw.bincount(minlength=n) for draw in draws])
        yield drawn.double()[:, number]


def _of_each(groups: Tensor) -> Iterator[Tensor]:
    """The rows of each group."""
    order = groups.argsort(stable=True)
    _, sizes = groups.unique(return_counts=True)
    yield from order.split(sizes.tolist())


def _checked(a: Tensor, b: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Both columns in float64 and their groups, unless nothing can be correlated."""
    a, b = (one_column(values, "Values to correlate").cpu().double() for values in (a, b))
    if a.shape != b.shape or not len(a):
        raise ValueError(
            f"Values to correlate must be one or more pairs, got {len(a)} and {len(b)}."
        )
    groups = torch.zeros(len(a), dtype=torch.long) if groups is None else groups
    one_class_each(groups, torch.empty(len(a), dtype=torch.long), "groups")
    return a, b, groups.cpu()
