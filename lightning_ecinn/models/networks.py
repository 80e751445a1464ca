"""Ordinary image classifiers to compare with: a small convolutional network and Inception-v3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lightning_ecinn.models.classifier import checked_names

__all__ = ["ConvNetwork", "InceptionNetwork", "Network", "build_network", "network_class"]


class Network(nn.Module):
    """A classifier of images that is no generative model: images to features to logits.

    Every ReLU and every max pooling is a module of its own that is called once, as DeepLift's
    rules need.

    Attributes:
        config: ``kind`` and the constructor's arguments, plain values: :func:`build_network` makes
            the network again.
        image_shape: (C, H, W).
        num_classes: K.
        class_names: one name per class.

    Example:
        >>> network = ConvNetwork((1, 28, 28), 10, widths=[4])
        >>> isinstance(network, Network), network.config["kind"]
        (True, 'conv')
    """

    kind: ClassVar[str]

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None,
        **settings: Any,
    ):
        super().__init__()
        self.image_shape = tuple(int(side) for side in image_shape)
        self.num_classes = num_classes
        self.class_names = checked_names(class_names, num_classes)
        if self.image_shape[0] not in (1, 3):
            raise ValueError(
                f"Images must have 1 or 3 channels, got image_shape {self.image_shape}."
            )
        self.config = {
            "kind": self.kind,
            "image_shape": list(self.image_shape),
            "num_classes": num_classes,
            "class_names": list(self.class_names),
            **settings,
        }

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W), uint8 or float in [0, 1].

        Raises:
            ValueError: for images of another shape or type.
        """
        raise NotImplementedError

    def features(self, images: Tensor) -> Tensor:
        """What the last, linear layer sees of images (B, C, H, W): (B, F), without dropout."""
        raise NotImplementedError

    def posterior(self, images: Tensor) -> Tensor:
        """p(y|x), (B, K)."""
        return self(images).softmax(1)

    def _inputs(self, images: Tensor) -> Tensor:
        """2 x - 1 for grey levels x in [0, 1], in the precision of the weights."""
        if images.ndim != 4 or tuple(images.shape[1:]) != self.image_shape:
            channels, height, width = self.image_shape
            raise ValueError(
                f"Images must be (B, {channels}, {height}, {width}), got {tuple(images.shape)}."
            )
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise ValueError(
                f"Images must be uint8 in 0..255 or float in [0, 1], got {images.dtype}."
            )
        scale = 255 if images.dtype == torch.uint8 else 1
        return images.to(next(self.parameters()).dtype) * (2 / scale) - 1


class ConvNetwork(Network):
    """Stages of two 3x3 convolutions, each with batch norm and ReLU; averaged, then linear.

    Max pooling halves the pictures between the stages. F is the width of the last one.

    Args:
        image_shape: (C, H, W), C = 1 or 3, sides of at least 2^(stages - 1).
        num_classes: K.
        class_names: one name per class; by default "0", "1", ...
        widths: channels of each stage.
        dropout: share of the features left out in training.

    Example:
        >>> network = ConvNetwork((1, 28, 28), 10, widths=[8, 16]).eval()
        >>> with torch.no_grad():
        ...     network.posterior(torch.zeros(2, 1, 28, 28)).sum(1).allclose(torch.ones(2))
        True
    """

    kind = "conv"

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        *,
        widths: Sequence[int] = (16, 32, 64),
        dropout: float = 0.0,
    ):
        _check_dropout(dropout)
        smallest = 2 ** (len(widths) - 1)
        if not widths or min(widths) < 1 or min(image_shape[1:]) < smallest:
            raise ValueError(
                f"widths is {list(widths)}: give one or more positive numbers, so few that images "
                f"of {image_shape[1]} x {image_shape[2]} can be halved between them."
            )
        super().__init__(
            image_shape, num_classes, class_names, widths=list(widths), dropout=dropout
        )
        layers: list[nn.Module] = []
        channels = self.image_shape[0]
        for width in widths:
            layers += [nn.MaxPool2d(2)] if layers else []
            layers += [_ConvReLU(channels, width), _ConvReLU(width, width)]
            channels = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, num_classes)
        self.to(memory_format=torch.channels_last)  # much faster on CPUs

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W), uint8 or float in [0, 1]."""
        return self.head(self.dropout(self.features(images)))

    def features(self, images: Tensor) -> Tensor:
        """The averaged feature maps of the last stage, (B, F)."""
        return self.body(self._inputs(images))


class InceptionNetwork(Network):
    """torchvision's Inception-v3 (Szegedy et al., 2016) without the auxiliary classifier.

    Pictures are resized (bilinear, antialiased, differentiable), grey ones repeated to three
    channels. ``inception`` has torchvision's weights by torchvision's names. F is 2048.

    Args:
        image_shape: (C, H, W), C = 1 or 3.
        num_classes: K.
        class_names: one name per class; by default "0", "1", ...
        weights: None begins with random weights; "imagenet" with those trained on ImageNet, but
            for the last layer (torchvision downloads them).
        dropout: share of the features left out in training.
        side: of the pictures it sees, in pixels, 75 or more; 224 in the paper (Section 4.3).

    Raises:
        ValueError: if the weights can not be downloaded, and for a side that is too small.

    Example:
        >>> network = InceptionNetwork((3, 64, 64), 2, ["not smiling", "smiling"])
        >>> network.inception.fc
        Linear(in_features=2048, out_features=2, bias=True)
    """

    kind = "inception_v3"

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        *,
        weights: Literal["imagenet"] | None = None,
        dropout: float = 0.5,
        side: int = 224,
    ):
        _check_dropout(dropout)
        if side < 75:
            raise ValueError(f"side is {side}: Inception-v3 needs pictures of 75 pixels or more.")
        # Not weights: a checkpoint holds its own.
        super().__init__(image_shape, num_classes, class_names, dropout=dropout, side=side)
        self.inception = _inception3(num_classes, dropout)
        if weights is not None:
            self.inception.load_state_dict(_imagenet_weights(weights), strict=False)
        self.to(memory_format=torch.channels_last)  # much faster on CPUs

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of images (B, C, H, W), uint8 or float in [0, 1]."""
        return self.inception.fc(self.inception.dropout(self.features(images)))

    def features(self, images: Tensor) -> Tensor:
        """The averaged feature maps of the last block, (B, 2048)."""
        x = self._resized(images)
        for name, layer in self.inception.named_children():
            if name == "dropout":
                break
            x = layer(x)
        return x.flatten(1)

    def _resized(self, images: Tensor) -> Tensor:
        # torchvision's normalisation for ImageNet, with the transform_input of its pretrained
        # network, is 2 x - 1 too.
        x = self._inputs(images).expand(-1, 3, -1, -1)
        size = (self.config["side"], self.config["side"])
        if x.shape[2:] == size:
            return x
        return interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)


def build_network(config: Mapping[str, Any]) -> Network:
    """The network of a :attr:`Network.config`, with random weights.

    Raises:
        ValueError: if the configuration is not one of a network of this project.
    """
    settings = {name: value for name, value in config.items() if name != "kind"}
    return network_class(config)(**settings)


def network_class(config: Mapping[str, Any]) -> type[Network]:
    """The class of the network of a :attr:`Network.config`; raises as :func:`build_network`."""
    classes: tuple[type[Network], ...] = (ConvNetwork, InceptionNetwork)
    kind = config.get("kind")
    for network in classes:
        if network.kind == kind:
            return network
    raise ValueError(
        f"There is no network of kind {kind!r}, only {', '.join(c.kind for c in classes)}."
    )


class _ConvReLU(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, channels: int, width: int):
        conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(width), nn.ReLU())


class _BasicConv2d(nn.Module):
    """torchvision's BasicConv2d with its ReLU as a module."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


def _inception3(num_classes: int, dropout: float) -> Any:
    # Imported here: beside some builds of torch, torchvision fails at import; only this needs it.
    from torchvision.models import inception

    parts = [inception.InceptionA, inception.InceptionB, inception.InceptionC]
    parts += [inception.InceptionD, inception.InceptionE, inception.InceptionAux]
    return inception.Inception3(
        num_classes,
        aux_logits=False,
        inception_blocks=[_BasicConv2d, *(partial(p, conv_block=_BasicConv2d) for p in parts)],
        init_weights=True,
        dropout=dropout,
    )


def _imagenet_weights(weights: str) -> dict[str, Tensor]:
    """Torchvision's weights, without those of the two classifying heads."""
    if weights != "imagenet":
        raise ValueError(f'weights must be "imagenet" or nothing, got {weights!r}.')
    from torchvision.models import Inception_V3_Weights

    source = Inception_V3_Weights.IMAGENET1K_V1
    try:
        state = source.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, or a torn file
        raise ValueError(
            f"weights: those of ImageNet can't be downloaded from {source.url} ({error}). Begin "
            f"with random ones (null), or put that file into {torch.hub.get_dir()}/checkpoints."
        ) from None
    return {key: v for key, v in state.items() if not key.startswith(("AuxLogits.", "fc."))}


def _check_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}; give a number from 0 to less than 1.")
