"""Where a heatmap points, beside a known truth and beside another heatmap."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import broadcastable, finite

__all__ = [
    "heatmap_correlation",
    "heatmap_mass",
    "heatmap_noise",
    "heatmap_pointing",
    "heatmap_rank",
]

_TINY = torch.finfo(torch.float64).tiny


def heatmap_mass(heatmap: Tensor, mask: Tensor) -> Tensor:
    """Share of abs(heatmap) inside a mask: 1 if nothing else changed.

    Args:
        heatmap: (B, C, H, W).
        mask: bool, (B, C, H, W), or what broadcasts to it: the pixels that depend on the class.

    Returns:
        (B,) float64; 0 where the heatmap is zero everywhere.

    Example:
        >>> heatmap_mass(torch.tensor([[[[-3.0, 1.0]]]]), torch.tensor([True, False]))
        tensor([0.7500], dtype=torch.float64)
    """
    mass, mask = _magnitudes(heatmap, mask)
    mass = mass / mass.amax(1, keepdim=True).clamp_min(_TINY)  # sums stay finite
    total = mass.sum(1)
    return (mass * mask).sum(1) / torch.where(total > 0, total, 1)


def heatmap_pointing(heatmap: Tensor, mask: Tensor) -> Tensor:
    """Whether the largest abs(heatmap) lies inside a mask: the pointing game (Zhang et al. 2016).

    Args:
        heatmap: (B, C, H, W).
        mask: bool, (B, C, H, W), or what broadcasts to it.

    Returns:
        bool (B,); False where the largest value is outside too.

    Example:
        >>> heatmap_pointing(torch.tensor([[[[-3.0, 1.0]]]]), torch.tensor([True, False]))
        tensor([True])
    """
    mass, mask = _magnitudes(heatmap, mask)
    inside, outside = mass.masked_fill(~mask, -1), mass.masked_fill(mask, -1)
    return inside.amax(1) > outside.amax(1)


def heatmap_rank(heatmap: Tensor, mask: Tensor) -> Tensor:
    """Share of the n largest values of abs(heatmap) inside a mask of n pixels.

    Args:
        heatmap: (B, C, H, W).
        mask: bool, (B, C, H, W), or what broadcasts to it.

    Returns:
        (B,) float64. Of values that tie for the last places each counts in part, so that a
        constant heatmap has the share of the mask in the picture.

    Raises:
        ValueError: for an empty mask.

    Example:
        >>> heatmap_rank(torch.tensor([[[[-3.0, 1.0, 2.0]]]]), torch.tensor([True, True, False]))
        tensor([0.5000], dtype=torch.float64)
    """
    mass, mask = _magnitudes(heatmap, mask)
    size = mask.sum(1, keepdim=True)
    if not size.all():
        raise ValueError("A mask is empty: leave out the images of which no pixel is known.")
    last = mass.sort(dim=1, descending=True).values.gather(1, size - 1)
    above, ties = mass > last, mass == last
    left = (size - above.sum(1, keepdim=True)) / ties.sum(1, keepdim=True)
    return ((above + ties * left.double()) * mask).sum(1) / size.squeeze(1)


def heatmap_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of two heatmaps over all their pixels and channels.

    Args:
        a: (B, C, H, W).
        b: of the same shape.

    Returns:
        (B,) float64 in [-1, 1]; 0 where one of the two is constant: it says nothing.

    Raises:
        ValueError: for different shapes.

    Example:
        >>> a = torch.tensor([[[[-3.0, 1.0, 2.0]]]])
        >>> heatmap_correlation(a, 1 - 2 * a)
        tensor([-1.], dtype=torch.float64)
    """
    for heatmap in (a, b):
        finite(heatmap, "Heatmaps")
    if a.shape != b.shape or a.ndim < 2 or not math.prod(a.shape[1:]):
        raise ValueError(
            f"Heatmaps to correlate must have one shape, got {tuple(a.shape)} and "
            f"{tuple(b.shape)}: resize one of them."
        )
    x, y = _standardised(a), _standardised(b)
    return (x * y).sum(1).clamp(-1, 1)


def heatmap_noise(heatmap: Tensor) -> Tensor:
    r"""Total variation of a heatmap over its L1 norm: how much neighbouring pixels disagree.

    .. math::
        \frac{\sum_{ij} |h_{i+1,j} - h_{ij}| + |h_{i,j+1} - h_{ij}|}{\sum_{ij} |h_{ij}|}

    of each channel (anisotropic; Rudin, Osher and Fatemi 1992), both sums over channels too. A
    smooth heatmap has little, independent normal noise about 2 sqrt(2), a checkerboard 4.

    Args:
        heatmap: (B, C, H, W).

    Returns:
        (B,) float64; 0 where the heatmap is zero everywhere.

    Example:
        >>> heatmap_noise(torch.tensor([[[[1.0, -1.0], [-1.0, 1.0]]], [[[1.0, 1.0], [1.0, 1.0]]]]))
        tensor([2., 0.], dtype=torch.float64)
    """
    if finite(heatmap, "Heatmaps").ndim != 4 or not math.prod(heatmap.shape[1:]):
        raise ValueError(f"Heatmaps must be (B, C, H, W), got {tuple(heatmap.shape)}.")
    values = heatmap.double()
    values = values / values.abs().amax((1, 2, 3), keepdim=True).clamp_min(_TINY)
    variation = sum(values.diff(dim=dim).abs().sum((1, 2, 3)) for dim in (2, 3))
    norm = values.abs().sum((1, 2, 3))
    return variation / torch.where(norm > 0, norm, 1)


def _magnitudes(heatmap: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """abs(heatmap) in float64 and its mask, both (B, D)."""
    if finite(heatmap, "Heatmaps").ndim < 2 or not math.prod(heatmap.shape[1:]):
        raise ValueError(f"Heatmaps must be (B, C, H, W), got {tuple(heatmap.shape)}.")
    return heatmap.double().abs().flatten(1), broadcastable(mask, heatmap).flatten(1)


def _standardised(heatmap: Tensor) -> Tensor:
    """Each heatmap minus its mean, of length 1, (B, D) float64; 0 if it is constant."""
    values = heatmap.double().flatten(1)
    values = values / values.abs().amax(1, keepdim=True).clamp_min(_TINY)  # sums stay finite
    values = values - values.mean(1, keepdim=True)
    largest = values.abs().amax(1, keepdim=True)
    is_constant = heatmap.flatten(1).amax(1) == heatmap.flatten(1).amin(1)
    values = values / torch.where(largest > 0, largest, 1)  # squares of tiny values are 0
    length = torch.linalg.vector_norm(values, dim=1, keepdim=True).clamp_min(1)
    return torch.where(is_constant[:, None], 0, values / length)
