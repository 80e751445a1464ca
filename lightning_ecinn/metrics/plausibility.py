"""Do counterfactuals look like images? By the exact density, and by a network's features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

__all__ = ["NetworkFeatures", "fid", "is_plausible"]


def is_plausible(log_prob: Tensor, reference_quantile: Tensor | float) -> Tensor:
    """Whether log p(c) (B,) is above a low quantile, such as 5 %, of real images, bool (B,)."""
    return log_prob > reference_quantile


class NetworkFeatures(nn.Module):
    """The features of a network of this project as a module of their own.

    Args:
        network: has `features`, images (B, C, H, W) to (B, F), and `image_shape`, such as
            `networks.Network`.
    """

    def __init__(self, network: Any):
        super().__init__()
        self.network = network.eval()
        pixel = next(network.parameters())
        with torch.no_grad():
            one = network.features(pixel.new_zeros(1, *network.image_shape))
        self.num_features = one.shape[1]

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """(B, F) of images (B, C, H, W)."""
        return self.network.features(images)


def fid(features: nn.Module) -> FrechetInceptionDistance:
    """Fréchet distance (Heusel et al. 2017) of two sets of images by the given features.

    Add images with ``update(images, real=True)`` and counterfactuals with ``real=False``.

    Args:
        features: images to (B, F) with the attribute ``num_features``, such as
            :class:`NetworkFeatures`. Distances by different features can't be compared.
    """
    return FrechetInceptionDistance(features)
