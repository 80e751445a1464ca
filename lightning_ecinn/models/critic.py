"""A critic of pictures: how much does each look like a real one of each class?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Critic", "through_fixed"]

_SLOPE = 0.2
_GAIN = 4.0
"""Grey levels differ by 1/256: enlarged, so that small differences are learned sooner."""


class Critic(nn.Module):
    """Scores of pictures, one for each class: above 0 it takes a picture for a real one of it.

    A 3x3 convolution at full resolution, strided ones down to sides of about 4, one more, then
    linear. Without batch norm: a score belongs to its picture alone, and gradients with respect to
    pictures can be penalised.

    Args:
        image_shape: (C, H, W).
        num_classes: K.
        width: channels at full resolution; up to four times as many further down.

    Example:
        >>> Critic((1, 28, 28), 10, width=8)(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, image_shape: Sequence[int], num_classes: int, width: int = 24):
        super().__init__()
        channels, height, side = image_shape
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(_SLOPE)]
        wide, factor = width, 1
        while min(height, side) >= 6:
            factor = min(factor + 1, 4)
            layers += [nn.Conv2d(wide, factor * width, 4, 2, 1), nn.LeakyReLU(_SLOPE)]
            wide, height, side = factor * width, height // 2, side // 2
        layers += [nn.Conv2d(wide, wide, 3, padding=1), nn.LeakyReLU(_SLOPE), nn.Flatten()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(wide * height * side, num_classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores (B, K) of pictures (B, C, H, W) in [0, 1]."""
        return self.head(self.body(_GAIN * (2 * pictures - 1)))

    def fixed(self, pictures: Tensor) -> Tensor:
        """The same scores, through which gradients reach the pictures and not the critic."""
        return through_fixed(self, pictures)


def through_fixed(network: nn.Module, pictures: Tensor) -> Tensor:
    """What a network says of pictures, so that gradients reach these and not the network.

    Example:
        >>> network, pictures = torch.nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
        >>> through_fixed(network, pictures).sum().backward()
        >>> pictures.grad is None, network.weight.grad is None
        (False, True)
    """
    weights = {name: value.detach() for name, value in network.named_parameters()}
    return torch.func.functional_call(network, weights, (pictures,))
