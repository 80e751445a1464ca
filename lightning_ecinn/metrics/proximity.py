"""How far a counterfactual is from its input: distances, and the share of pixels that moved."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import same_pictures

__all__ = ["en", "l1", "l2", "sparsity"]


def l1(x: Tensor, c: Tensor) -> Tensor:
    """Sum of abs(x - c), (B,) float64, of pictures (B, C, H, W) in [0, 1].

    Example:
        >>> l1(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.75, 1.0]]]]))
        tensor([1.7500], dtype=torch.float64)
    """
    return _distance(x, c, order=1)


def l2(x: Tensor, c: Tensor) -> Tensor:
    """Euclidean length of x - c, (B,) float64, of pictures (B, C, H, W) in [0, 1].

    Example:
        >>> l2(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.75, 1.0]]]]))
        tensor([1.2500], dtype=torch.float64)
    """
    return _distance(x, c, order=2)


def en(x: Tensor, c: Tensor) -> Tensor:
    """The elastic net distance L1 + L2, (B,) float64 (Hvilshøj et al. 2021, arXiv 2111.00177).

    Example:
        >>> en(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.75, 1.0]]]]))
        tensor([3.], dtype=torch.float64)
    """
    return l1(x, c) + l2(x, c)


def sparsity(x: Tensor, c: Tensor) -> Tensor:
    """Share of the pixels that moved by more than one grey level, 1/255, in any channel.

    Args:
        x: inputs, (B, C, H, W) in [0, 1].
        c: counterfactuals, of the same shape.

    Returns:
        (B,) float64 in [0, 1].

    Example:
        >>> sparsity(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.001, 1.0]]]]))
        tensor([0.5000], dtype=torch.float64)
    """
    x, c = same_pictures(x, c)
    moved = 255 * (x - c).abs().amax(1) > 1 + 1e-4  # one level in float32 is a little more or less
    return moved.double().flatten(1).mean(1)


def _distance(x: Tensor, c: Tensor, order: int) -> Tensor:
    x, c = same_pictures(x, c)
    return torch.linalg.vector_norm((x - c).flatten(1), ord=order, dim=1)
