"""Autoencoders of each class's images and of all images, which IM1 and IM2 ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_ecinn.models.classifier import checked_names

__all__ = ["AutoencoderNetwork", "Autoencoders"]


class AutoencoderNetwork(nn.Module):
    """One channel at half resolution in between, as published (Hvilshøj et al. 2021).

    Encoder: two 3x3 convolutions with ReLU, max pooling, a 3x3 convolution to one channel.
    Decoder: 3x3 convolution with ReLU, doubled (nearest), two more with a ReLU between.

    Args:
        image_shape: (C, H, W), even sides.
        width: channels of the hidden layers.
    """

    def __init__(self, image_shape: Sequence[int], width: int = 16):
        super().__init__()
        channels = image_shape[0]
        self.encoder = nn.Sequential(
            _conv(channels, width),
            nn.ReLU(),
            _conv(width, width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            _conv(width, 1),
        )
        self.decoder = nn.Sequential(
            _conv(1, width),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            _conv(width, width),
            nn.ReLU(),
            _conv(width, channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions (B, C, H, W) of pictures with pixels in [-1/2, 1/2]."""
        return self.decoder(self.encoder(images))

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """The six convolutions in order."""
        return [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]


class Autoencoders(nn.Module):
    """One autoencoder for the images of each class, and one for all.

    Args:
        image_shape: (C, H, W), even sides.
        num_classes: K.
        class_names: one name per class; by default "0", "1", ...
        width: channels of their hidden layers.

    Attributes:
        config: the constructor's arguments, plain values.

    Raises:
        ValueError: for images of odd sides, or no channel in between.

    Example:
        >>> autoencoders = Autoencoders((1, 28, 28), 10, width=4)
        >>> with torch.no_grad():
        ...     autoencoders.reconstruct(torch.zeros(2, 1, 28, 28), torch.tensor([3, 8])).shape
        torch.Size([2, 1, 28, 28])
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        width: int = 16,
    ):
        super().__init__()
        self.image_shape = tuple(int(side) for side in image_shape)
        self.num_classes = num_classes
        self.class_names = checked_names(class_names, num_classes)
        if self.image_shape[1] % 2 or self.image_shape[2] % 2:
            raise ValueError(
                f"Autoencoders need images of even height and width, got {self.image_shape}."
            )
        if width < 1:
            raise ValueError(f"width is {width}; give 1 or more.")
        self.config: dict[str, Any] = {
            "image_shape": list(self.image_shape),
            "num_classes": num_classes,
            "class_names": list(self.class_names),
            "width": width,
        }
        networks = (AutoencoderNetwork(image_shape, width) for _ in range(num_classes + 1))
        self.networks = nn.ModuleList(networks)  # the last one is of all images
        self.to(memory_format=torch.channels_last)  # much faster on CPUs

    def reconstruct(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """AE_label, or without labels AE, of pictures with pixels in [-1/2, 1/2].

        Args:
            images: (B, C, H, W).
            label: whose autoencoder sees each picture, (B,).

        Returns:
            (B, C, H, W).

        Raises:
            ValueError: for images of another shape.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != self.image_shape:
            channels, height, width = self.image_shape
            raise ValueError(
                f"Autoencoders of images (B, {channels}, {height}, {width}) can't reconstruct "
                f"images {tuple(images.shape)}."
            )
        images = images.to(next(self.parameters()).dtype)
        if label is None:
            return self.networks[-1](images)
        result = torch.empty_like(images)
        for k in range(self.num_classes):  # without images too: every parameter gets a gradient
            of_class = label == k
            result[of_class] = self.networks[k](images[of_class]).to(result.dtype)
        return result


def _conv(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1)
