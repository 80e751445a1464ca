"""A witness of counterfactuals: does an ordinary classifier see the target in them?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lightning_ecinn.models.critic import through_fixed
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.models.networks import ConvNetwork

__all__ = ["Witness", "running_statistics"]

WIDTHS = (24, 48, 64)
"""Channels of its stages; fewer stages where images are small."""

NOISE = 0.05
"""The most noise that its images get, sigma in units of the grey range: it is to see shapes, and
not to be deceived by single pixels."""

SMOOTHING = 0.05
"""Of its labels: who is not too sure can still be convinced a little more."""


class Witness(nn.Module):
    """An ordinary classifier that learns beside a flow, from the same images, and is asked.

    Args:
        image_shape: (C, H, W).
        num_classes: K.

    Example:
        >>> witness = Witness((1, 28, 28), 10)
        >>> images, labels = torch.rand(4, 1, 28, 28), torch.arange(4)
        >>> witness.teach(images, labels).shape, witness.testify(images, labels).requires_grad
        (torch.Size([]), False)
    """

    def __init__(self, image_shape: Sequence[int], num_classes: int):
        super().__init__()
        stages = min(len(WIDTHS), max(int(math.log2(min(image_shape[1:]))) - 1, 1))
        self.network = ConvNetwork(image_shape, num_classes, widths=WIDTHS[:stages])

    def teach(self, images: Tensor, labels: Tensor) -> Tensor:
        """Its own loss, a scalar: cross-entropy of noisy images (B, C, H, W), labels (B,)."""
        dtype = next(self.parameters()).dtype
        logits = self.network(_noisy(as_float(images, dtype)))
        return F.cross_entropy(logits.float(), labels, label_smoothing=SMOOTHING)

    def testify(self, pictures: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy of the targets (B,) in pictures (B, C, H, W), which alone get gradients."""
        with running_statistics(self.network):
            return F.cross_entropy(through_fixed(self.network, _noisy(pictures)), target)


@contextmanager
def running_statistics(network: nn.Module) -> Iterator[None]:
    """A network without dropout, and with running batch-norm statistics."""
    kinds = _BatchNorm | nn.Dropout | nn.Dropout2d
    layers = [m for m in network.modules() if isinstance(m, kinds)]
    modes = [layer.training for layer in layers]
    for layer in layers:
        layer.training = False
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.training = mode


def _noisy(pictures: Tensor) -> Tensor:
    """Pictures (B, C, H, W) with noise, each with as much of it as is drawn."""
    sigma = NOISE * torch.rand_like(pictures[:, :1, :1, :1])
    return pictures + sigma * torch.randn_like(pictures)
