"""How sure a mean is."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import finite, is_number, is_whole, one_class_each

__all__ = ["bootstrap_interval"]


def bootstrap_interval(
    values: Tensor,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    groups: Tensor | None = None,
) -> tuple[float, float]:
    """Percentile interval of the mean (Efron 1979), the same for the same seed.

    Args:
        values: one per counterfactual, (N,), finite.
        samples: how often N values are drawn with replacement.
        level: share of the drawn means inside the interval.
        seed: of the draws.
        groups: whole numbers (N,), such as each value's image: values of one are drawn together.

    Returns:
        The interval's low and high end.

    Raises:
        ValueError: for no values, values that are not finite, or a level that is no share.

    Example:
        >>> low, high = bootstrap_interval(torch.tensor([0.0, 1.0, 1.0, 1.0]))
        >>> low < 0.75 < high
        True
    """
    values = _checked(values, samples, level, seed)
    sums, sizes = values, torch.ones_like(values)
    if groups is not None:
        one_class_each(groups, torch.empty(values.shape, dtype=torch.long), "groups")
        _, number = groups.cpu().unique(return_inverse=True)
        sums, sizes = (number.bincount(weights=column) for column in (values, sizes))
    generator, n = torch.Generator().manual_seed(seed), len(sums)
    draws = (torch.randint(n, (n,), generator=generator) for _ in range(samples))
    means = torch.stack([sums[drawn].sum() / sizes[drawn].sum() for drawn in draws])
    tail = (1 - level) / 2
    low, high = means.quantile(torch.tensor([tail, 1 - tail], dtype=torch.double)).tolist()
    finite(torch.tensor([low, high]), "The means of the values")
    return low, high


def _checked(values: Tensor, samples: int, level: float, seed: int) -> Tensor:
    """The values in float64, unless there is no interval of them."""
    if not isinstance(values, Tensor) or values.is_complex():
        raise ValueError("A bootstrap needs a torch.Tensor of real numbers (N,).")
    values = values.detach().cpu().double()
    if values.ndim != 1 or not len(values) or not values.isfinite().all():
        raise ValueError(
            f"A bootstrap needs one or more finite values (N,), got {tuple(values.shape)}: leave "
            "out what is not defined."
        )
    whole = is_whole(samples) and is_whole(seed)
    if not is_number(level) or not 0 < level < 1 or not whole or samples < 1:
        raise ValueError(
            f"level is {level} and samples {samples}; give a share between 0 and 1, and 1 or more."
        )
    return values
