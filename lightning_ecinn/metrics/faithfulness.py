"""Does the model hang on the pixels a heatmap names? Deletion and insertion (Petsiuk et al. 2018).

RISE, arXiv 1806.07421.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import finite, is_whole, same_shape

__all__ = ["area", "deletion_curve", "insertion_curve"]


@torch.no_grad()
def deletion_curve(
    probability: Callable[[Tensor], Tensor],
    x: Tensor,
    heatmap: Tensor,
    baseline: Tensor | float,
    steps: int,
) -> Tensor:
    """Probability of the explained class while the pixels with the largest values go.

    Pixels are ordered by abs(heatmap), added up over the channels, and replaced in all channels.

    Args:
        probability: pictures (B, C, H, W), those of x in their order, to the probability of the
            class that is explained in each, (B,); it is called steps + 1 times.
        x: images, (B, C, H, W) in [0, 1].
        heatmap: (B, C, H, W).
        baseline: what replaces pixels: a grey level in [0, 1], or pictures that broadcast to x.
        steps: S; at step k the first floor(k H W / S) pixels are replaced.

    Returns:
        (B, S + 1) float64, from x to the baseline.

    Raises:
        ValueError: for shapes that differ, pictures that are not float, or no step.

    Example:
        >>> x = torch.tensor([[[[0.25, 0.75]]]])
        >>> deletion_curve(lambda pictures: pictures.flatten(1).sum(1), x, x, 0.0, steps=2)
        tensor([[1.0000, 0.2500, 0.0000]], dtype=torch.float64)
    """
    same_shape(x, heatmap)
    if not is_whole(steps) or steps < 1:
        raise ValueError(f"steps is {steps!r}; give 1 or more.")
    replacement = _like(baseline, x)
    rank = _rank(heatmap)
    counts = [k * rank[0].numel() // steps for k in range(steps + 1)]
    curve = [probability(torch.where(rank < count, replacement, x)) for count in counts]
    if any(not isinstance(p, Tensor) or p.shape != x.shape[:1] for p in curve):
        raise ValueError(f"probability must give one number for each of {len(x)} pictures.")
    return finite(torch.stack(curve, 1).double(), "Probabilities")


def insertion_curve(
    probability: Callable[[Tensor], Tensor],
    x: Tensor,
    heatmap: Tensor,
    baseline: Tensor | float,
    steps: int,
) -> Tensor:
    """Probability of the explained class while the pixels with the largest values come in.

    Like :func:`deletion_curve`, from the baseline to x: (B, S + 1) float64.

    Example:
        >>> x = torch.tensor([[[[0.25, 0.75]]]])
        >>> insertion_curve(lambda pictures: pictures.flatten(1).sum(1), x, x, 0.0, steps=2)
        tensor([[0.0000, 0.7500, 1.0000]], dtype=torch.float64)
    """
    same_shape(x, heatmap)
    start = _like(baseline, x)
    return deletion_curve(probability, start, heatmap, x, steps)


def area(curve: Tensor) -> Tensor:
    """Area under curves (B, S + 1) over [0, 1] by trapezoids, (B,) float64.

    Small after deletion and large after insertion is good.

    Example:
        >>> area(torch.tensor([[1.0, 0.5, 0.0], [1.0, 0.0, 0.0]]))
        tensor([0.5000, 0.2500], dtype=torch.float64)
    """
    if finite(curve, "Curves").ndim != 2 or curve.shape[1] < 2:
        raise ValueError(f"Curves must be (B, S + 1), S at least 1, got {tuple(curve.shape)}.")
    return torch.trapezoid(curve.double(), dx=1 / (curve.shape[1] - 1), dim=1)


def _like(baseline: Tensor | float, x: Tensor) -> Tensor:
    """The baseline as pictures like x."""
    try:
        value = torch.as_tensor(baseline, dtype=x.dtype, device=x.device)
        return finite(value.expand_as(x), "The baseline")
    except (TypeError, RuntimeError):
        raise ValueError(
            f"baseline must be a grey level or pictures that broadcast to {tuple(x.shape)}."
        ) from None


def _rank(heatmap: Tensor) -> Tensor:
    """Places (B, 1, H, W) of the pixels of heatmaps (B, C, H, W), the largest's 0."""
    values = heatmap.abs().double().sum(1, keepdim=True).flatten(2)
    places = values.argsort(dim=2, descending=True, stable=True).argsort(dim=2)
    return places.view(len(heatmap), 1, *heatmap.shape[2:])
