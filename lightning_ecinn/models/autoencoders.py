"""Autoencoders of each class's images and of all images, which IM1 and IM2 ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_ecinn.models.checkpoints import read_weights
from lightning_ecinn.models.classifier import checked_names
from lightning_ecinn.models.files import archive_name, read_archive

__all__ = ["AutoencoderNetwork", "Autoencoders", "load_autoencoders"]

PUBLISHED_SIDE = 28
"""Side of the pictures of the published autoencoders, which their weights do not tell."""


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


def load_autoencoders(path: str | PathLike[str]) -> Autoencoders:
    """The autoencoders in a file, on the CPU, in float32, in evaluation mode.

    Args:
        path: a checkpoint of `modules.ClassAutoencoders`, read with ``weights_only=True``; or
            published ones, ``FILE.npz:PREFIX`` with arrays such as
            ``PREFIX/ae_0/conv0/weight``, of pictures of 28 x 28. Without a prefix the file must
            hold one set.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file holds no autoencoders, or not those of the prefix.
    """
    archive, prefix = archive_name(str(path))
    if archive.suffix == ".npz":
        return _published(archive.expanduser(), prefix)
    checkpoint = read_weights(
        path,
        kind="a checkpoint of autoencoders",
        remedy="give the path of a .ckpt file written by `fit` with model ClassAutoencoders, or "
        "FILE.npz:PREFIX for published ones",
        entries=("autoencoders", "state_dict"),
    )
    start, state = "autoencoders.", checkpoint["state_dict"]
    weights = {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
    try:
        autoencoders = Autoencoders(**checkpoint["autoencoders"])
        autoencoders.load_state_dict(weights)
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f"The autoencoders in {path} do not fit this version of lightning_ecinn: {error}"
        ) from None
    return autoencoders.eval()


def _published(path: Path, prefix: str | None) -> Autoencoders:
    if not path.is_file():
        raise FileNotFoundError(f"There are no autoencoders at {path.absolute()}.")
    try:
        arrays = {key: torch.from_numpy(array) for key, array in read_archive(path)[0].items()}
    except (ValueError, TypeError) as error:  # TypeError: arrays that are not numbers
        raise ValueError(f"{path} is not a file of published autoencoders: {error}") from None
    sets = sorted({key.rpartition("ae_")[0].rstrip("/") for key in arrays if "ae_" in key})
    if prefix is None and len(sets) == 1:
        prefix = sets[0]
    if prefix not in sets:
        raise ValueError(
            f"{path} has no autoencoders {prefix or ''!r}: give {path}:PREFIX with one of "
            f"{', '.join(sets) or 'none'}."
        )
    start = f"{prefix}/" if prefix else ""
    chosen = {key.removeprefix(start): v for key, v in arrays.items() if key.startswith(start)}
    try:
        return _from_arrays(chosen)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"The autoencoders {prefix!r} in {path} do not fit: {error}") from None


def _from_arrays(arrays: Mapping[str, Tensor]) -> Autoencoders:
    """Autoencoders of weights such as ``ae_0/conv0/weight`` and ``ae_all/conv0/weight``."""
    width, channels = arrays["ae_all/conv0/weight"].shape[:2]
    names = {key.partition("/")[0] for key in arrays}
    num_classes = len(names) - 1
    shape = (channels, PUBLISHED_SIDE, PUBLISHED_SIDE)
    autoencoders = Autoencoders(shape, num_classes, width=width)
    names_in_order = [*(f"ae_{k}" for k in range(num_classes)), "ae_all"]
    for name, network in zip(names_in_order, autoencoders.networks, strict=True):
        assert isinstance(network, AutoencoderNetwork)
        for i, conv in enumerate(network.convolutions):
            state = {key: arrays[f"{name}/conv{i}/{key}"] for key in ("weight", "bias")}
            conv.load_state_dict(state)
    return autoencoders.eval()


def _conv(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1)
