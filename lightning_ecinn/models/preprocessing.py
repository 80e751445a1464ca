"""Between pictures and what the flow sees: grey levels, dequantisation, noise, scaling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor, nn

__all__ = ["Preprocessing", "round_to_8_bits"]

_GREY = ((0.5,), (0.5,))
_COLOUR = ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261))


class Preprocessing(nn.Module):
    r"""The invertible map from a picture to the flow's input.

    .. math:: x' = (k + u) / 256 + \sigma n, \qquad v = (x' - m) / s

    with the grey level k = 0, ..., 255. A uint8 picture gives k itself, a float picture in [0, 1]
    gives k = 255 x; both give the same result. Without dequantisation u = 1/2.

    Args:
        channels: channels of the pictures.
        mean: m, one value per channel; by default 0.5 for grey pictures and the IB-INN values
            for colour.
        std: s, one value per channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        channels: int,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ):
        super().__init__()
        default_mean, default_std = _COLOUR if channels == 3 else [v * channels for v in _GREY]
        mean = default_mean if mean is None else mean
        std = default_std if std is None else std
        self.register_buffer("mean", _per_channel(mean, channels, "mean"))
        self.register_buffer("std", _per_channel(std, channels, "std"))

    def forward(self, images: Tensor, *, dequantize: bool = False, noise: float = 0.0) -> Tensor:
        """Flow inputs v (B, C, H, W) of images (B, C, H, W), uint8 or float in [0, 1].

        Args:
            images: the pictures.
            dequantize: draw u uniformly from [0, 1) instead of 1/2.
            noise: sigma, in units of the range of grey levels.
        """
        grey_level = images.to(self.std)
        if images.dtype != torch.uint8:
            grey_level = 255 * grey_level
        u = torch.rand_like(grey_level) if dequantize else 0.5
        x = (grey_level + u) / 256
        if noise:
            x = x + noise * torch.randn_like(x)
        return (x - self.mean) / self.std

    def inverse(self, v: Tensor, *, clamp: bool = True) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] of flow inputs v; without clamp they may leave it."""
        images = (256 * (self.std * v + self.mean) - 0.5) / 255
        return images.clamp(0, 1) if clamp else images

    def log_det(self, image_shape: Sequence[int]) -> Tensor:
        """Log abs det of dv/dx', a scalar in nats: minus the sum of log s over dimensions."""
        return -math.prod(image_shape[1:]) * self.std.log().sum()


def round_to_8_bits(images: Tensor) -> Tensor:
    """What a person sees of pictures in [0, 1]: the nearest multiples of 1/255."""
    return (images * 255).round() / 255


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _per_channel(values: Sequence[float], channels: int, name: str) -> Tensor:
    if not isinstance(values, Sequence) or not all(_is_number(value) for value in values):
        raise ValueError(f"{name} must be a list of numbers, one per channel, got {values!r}.")
    if len(values) != channels or (name == "std" and min(values) <= 0):
        raise ValueError(
            f"{name} needs one {'positive ' if name == 'std' else ''}value for each of "
            f"{channels} channels, got {tuple(values)}."
        )
    return torch.tensor(values, dtype=torch.get_default_dtype()).view(-1, 1, 1)
