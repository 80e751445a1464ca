"""Random numbers that belong to an image: the same in any batch and on any process."""

from __future__ import annotations

import os

import torch
from torch import Tensor

__all__ = ["dequantised", "other_classes"]

_NOISE, _CLASS = range(2)
"""Names of the streams: draws for different purposes are independent."""

_GAMMA = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed number, and so on
_FIRST, _SECOND = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


def dequantised(images: Tensor) -> Tensor:
    """Pictures x with 255 x + 1/2 = k + u, u uniform in [0, 1), drawn for each image.

    Args:
        images: (B, C, H, W), uint8 grey levels k, or float k / 255.

    Returns:
        (B, C, H, W), float, from -1/510 to 1 + 1/510: the deterministic `log_prob` of these is that
        of dequantised images.
    """
    bits = split_mix(_seeds(images, _NOISE), images[0].numel())
    u = ((bits >> 40) & 0xFFFFFF).view(images.shape) / 2**24
    grey_levels = images if images.dtype == torch.uint8 else 255 * images
    return (grey_levels + u - 0.5) / 255


def other_classes(images: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """One class other than `classes` (B,) for each of images (B, C, H, W), drawn uniformly."""
    bits = split_mix(_seeds(images, _CLASS), 1)[:, 0]
    return (classes + 1 + ((bits >> 33) & 0x7FFFFFFF) % (num_classes - 1)) % num_classes


def split_mix(seeds: Tensor, count: int) -> Tensor:
    """The first numbers of SplitMix64 for each seed, 64 bits each, by arithmetic alone.

    A generator of torch would have to be seeded for each image, on the CPU, where a device would be
    waited for. (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.)

    Args:
        seeds: (B,) int64.
        count: how many.

    Returns:
        (B, count) int64.
    """
    steps = torch.arange(1, count + 1, device=seeds.device)
    return _mixed(seeds[:, None] + steps * _GAMMA)


def _seeds(images: Tensor, stream: int) -> Tensor:
    """One seed (B,) for each image, from its grey levels, the run's seed and the stream."""
    levels = images if images.dtype == torch.uint8 else (255 * images).round()
    levels = levels.flatten(1).long()
    run = int(os.environ.get("PL_GLOBAL_SEED", 0))
    key = torch.tensor([2 * run + stream], device=images.device)
    weights = split_mix(key, levels.shape[1])
    return (levels * weights).sum(1) + weights[:, 0]


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, by: int) -> Tensor:
    """Towards the right, with zeros from the left."""
    return (x >> by) & (1 << (64 - by)) - 1
