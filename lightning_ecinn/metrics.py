"""Measures of counterfactuals and heatmaps as pure functions."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["heatmap_mass"]


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
