"""Measures of counterfactuals and heatmaps as pure functions."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["heatmap_correlation", "heatmap_mass"]


def heatmap_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of two heatmaps over all their pixels and channels.

    Args:
        a: (B, C, H, W).
        b: of the same shape.

    Returns:
        (B,) float64 in [-1, 1]; 0 where one of the two is constant: it says nothing.

    Raises:
        ValueError: for different shapes.
    """
    if a.shape != b.shape:
        raise ValueError(
            f"Heatmaps to correlate must have one shape, got {tuple(a.shape)} and "
            f"{tuple(b.shape)}: resize one of them."
        )
    x, y = _standardised(a), _standardised(b)
    return (x * y).sum(1).clamp(-1, 1)


def heatmap_mass(heatmap: Tensor, mask: Tensor) -> Tensor:
    """Share of abs(heatmap) inside a mask: 1 if nothing else changed.

    Args:
        heatmap: (B, C, H, W).
        mask: bool, (B, C, H, W) or (C, H, W): the pixels that depend on the class.

    Returns:
        (B,); 0 where the heatmap is zero everywhere.
    """
    mass = heatmap.abs()
    total = mass.flatten(1).sum(1)
    inside = (mass * mask).flatten(1).sum(1)
    return inside / torch.where(total > 0, total, 1)


def _standardised(heatmap: Tensor) -> Tensor:
    """Each heatmap minus its mean, of length 1, (B, D) float64; 0 if it is constant."""
    values = heatmap.double().flatten(1)
    values = values - values.mean(1, keepdim=True)
    largest = values.abs().amax(1, keepdim=True)
    is_constant = heatmap.flatten(1).amax(1) == heatmap.flatten(1).amin(1)
    values = values / torch.where(largest > 0, largest, 1)  # squares of tiny values are 0
    length = torch.linalg.vector_norm(values, dim=1, keepdim=True).clamp_min(1)
    return torch.where(is_constant[:, None], 0, values / length)
