"""Does the model hang on the pixels a heatmap names? Deletion and insertion (Petsiuk et al. 2018).

RISE, arXiv 1806.07421.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import same_pictures

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
    """
    same_pictures(x, heatmap)
    if steps < 1:
        raise ValueError(f"steps is {steps}; give 1 or more.")
    replacement = torch.as_tensor(baseline, dtype=x.dtype, device=x.device).expand_as(x)
    order = heatmap.abs().double().sum(1, keepdim=True).flatten(2)
    rank = order.argsort(dim=2, descending=True, stable=True).argsort(dim=2)
    rank = rank.view(len(x), 1, *x.shape[2:])
    num_pixels = x.shape[2] * x.shape[3]
    counts = [k * num_pixels // steps for k in range(steps + 1)]
    curve = [probability(torch.where(rank < count, replacement, x)) for count in counts]
    return torch.stack(curve, 1).double()


def insertion_curve(
    probability: Callable[[Tensor], Tensor],
    x: Tensor,
    heatmap: Tensor,
    baseline: Tensor | float,
    steps: int,
) -> Tensor:
    """Probability of the explained class while the pixels with the largest values come in.

    Like :func:`deletion_curve`, from the baseline to x: (B, S + 1) float64.
    """
    start = torch.as_tensor(baseline, dtype=x.dtype, device=x.device).expand_as(x)
    return deletion_curve(probability, start, heatmap, x, steps)


def area(curve: Tensor) -> Tensor:
    """Area under curves (B, S + 1) over [0, 1] by trapezoids, (B,) float64.

    Small after deletion and large after insertion is good.
    """
    return torch.trapezoid(curve.double(), dx=1 / (curve.shape[1] - 1), dim=1)
