"""A recipe that fits itself to the data: settings of an `IBINN`, found from the training images.

Each rule is one function, or one constant; the rest of the recipe is that of ``own.yaml``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from lightning_ecinn import shipped
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.datamodules.batches.balance import largest_to_smallest

__all__ = [
    "FOUND",
    "FOUND_IN_DATA",
    "OF_TRAINING",
    "RECIPE",
    "FoundSettings",
    "find_balanced",
    "find_settings",
    "refuse_null",
]

RECIPE = "own.yaml"
"""The shipped experiment that these rules complete."""

FOUND = ("blocks", "widths", "dropouts", "fc_width", "haar_gain", "noise", "means_lr_factor")
"""Settings of an `IBINN` that may be null in a configuration: then they are found."""

OF_TRAINING = ("balanced", "flip", "max_shift")
FOUND_IN_DATA = ("resolution", "channels", *OF_TRAINING)
"""Settings of data that may be null where their type has it: they know themselves what it is."""

LOOKED_AT = 2000
"""Training images, spread over all, of which the statistics are: exact to a few per cent."""

FEW_IMAGES = 3000
"""Below it a smaller network is as good, and learned in more epochs of the same minutes."""

BLOCKS, FEWER_BLOCKS = 8, 6
"""Coupling blocks in each stage: ``mnist_small.yaml``'s, and those for few images."""

FIRST_BLOCKS = 4
"""In the first of three stages, whose feature maps are large: there a block costs most."""

WIDTHS = (16, 32, 48)
"""Hidden channels of the subnets; the last two where there are two stages."""

FC_WIDTH = 48
"""Hidden width of the block at the end, which otherwise would have most of the weights."""

ENDS, AT_ENDS = 16, 0.7
"""Grey levels at either end of the range that count as black and white, and the share of the
pixels that must be there in drawings: photographs before a black ground have fewer."""

NOISE_OF_DRAWINGS, NOISE_OF_PHOTOGRAPHS = 0.01, 0.03
"""Sigmas of the training noise, of the grey range: ``mnist.yaml``'s and ``faces.yaml``'s."""

MEANS_LR_FACTORS = ((784, 3.0), (12_288, 0.5))
"""Dimensions D and the factor that is right there: ``mnist.yaml``'s and ``faces.yaml``'s."""


@dataclass(frozen=True)
class FoundSettings:
    """What `find_settings` found.

    Attributes:
        model: arguments of `IBINN` by name: all that ``own.yaml`` sets, and what was found.
        reasons: of what was found, by name.
    """

    model: dict[str, Any]
    reasons: dict[str, str]

    def line(self, name: str) -> str:
        """One setting, and why: "blocks: 8, 8 (32 x 32, 9,875 images)"."""
        value = self.model[name]
        values = value if isinstance(value, list) else [value]
        return f"{name}: {', '.join(f'{v:g}' for v in values)} ({self.reasons[name]})"

    def describe(self) -> str:
        """A line for each setting that was found."""
        return "\n".join(map(self.line, self.reasons))


def find_settings(data: pl.LightningDataModule) -> FoundSettings:
    """Find the settings of an `IBINN` that the data decide, from their training images.

    ``fit`` does so where a configuration says null, as ``own.yaml`` does.

    Args:
        data: images in memory; they are read if that is still to be done.

    Raises:
        ValueError: they are no `InMemoryDataModule`.

    Example:
        >>> data = MNIST(source="sample", batch_size=64)
        >>> found = find_settings(data)
        >>> print(found.line("blocks"))
        blocks: 8, 8 (28 x 28, 29,000 images)
        >>> print(found.line("means_lr_factor"))
        means_lr_factor: 3 (784 dimensions)
        >>> module = IBINN(data.image_shape, data.num_classes, data.class_names, **found.model)
        >>> module.hparams["optimizer"], module.hparams["widths"]
        ('adamw', [32, 48])
    """
    if not isinstance(data, InMemoryDataModule):
        raise ValueError(
            f"{', '.join(FOUND)} are found from the images of an InMemoryDataModule, and "
            f"{type(data).__name__} is none: derive it from that, or give them yourself."
        )
    dataset, (channels, side, _) = data.dataset("train"), data.image_shape
    indices = torch.linspace(0, len(dataset) - 1, min(LOOKED_AT, len(dataset))).long()
    images = dataset[indices].images
    size, dims = f"{side} x {side}", channels * side**2
    drawn = share_at_ends(images)
    found = {
        "blocks": (find_blocks(side, len(dataset)), f"{size}, {len(dataset):,} images"),
        "widths": (find_widths(side), size),
        "dropouts": ([0.0] * num_stages(side), "the training noise is enough"),
        "fc_width": (FC_WIDTH, "of the one block at the end"),
        "haar_gain": (find_haar_gain(images), "how much smaller details are than averages"),
        "noise": (find_noise(drawn), f"{drawn:.0%} of the pixels are black or white"),
        "means_lr_factor": (find_means_lr_factor(dims), f"{dims:,} dimensions"),
    }
    values = {name: value for name, (value, _) in found.items()}
    return FoundSettings(_recipe() | values, {name: why for name, (_, why) in found.items()})


def refuse_null(**settings: Any) -> None:
    """Raise a ValueError for the first of `settings` that is None and would have to be found."""
    for name in FOUND:
        if name in settings and settings[name] is None:
            raise ValueError(
                f"{name} is None, which only the command line replaces by what it finds: give a "
                "value, or that of find_settings(data).model."
            )


def num_stages(side: int) -> int:
    """Stages of the network: each halves the picture, the first one by its Haar transform.

    Two up to 32 pixels and three above, so that the last one works on 8 x 8 pixels, or 7 x 7.
    """
    return 2 if side <= 32 else 3


def find_blocks(side: int, num_images: int) -> list[int]:
    """Coupling blocks in each stage; fewer in the first of three, and where images are few."""
    blocks = FEWER_BLOCKS if num_images < FEW_IMAGES else BLOCKS
    first = [FIRST_BLOCKS] * (num_stages(side) - 2)
    return [*first, blocks, blocks]


def find_widths(side: int) -> list[int]:
    """Hidden channels of the subnets in each stage: the smaller its feature maps, the more."""
    return list(WIDTHS[-num_stages(side) :])


def find_haar_gain(images: Tensor) -> float:
    """The standard deviation of Haar averages over that of Haar details, from 1 to 8.

    So the details of smooth pictures, which are small, come as large as the averages, and are
    learned as fast; more than 8 times would enlarge the rounding to 8 bits.

    Args:
        images: (N, C, H, W) uint8, of an even height and width.
    """
    a, b, c, d = F.pixel_unshuffle(images.float(), 2).unflatten(1, (-1, 4)).unbind(2)
    details = torch.stack([a - b + c - d, a + b - c - d, a - b - c + d])
    ratio = (a + b + c + d).std(correction=0) / details.square().mean().sqrt().clamp(min=1e-6)
    return round(min(max(float(ratio), 1.0), 8.0), 1)


def share_at_ends(images: Tensor) -> float:
    """Share of the pixels of images (N, C, H, W) uint8 that are all but black or white."""
    return float(((images < ENDS) | (images > 255 - ENDS)).float().mean())


def find_noise(drawn: float) -> float:
    """Sigma of the training noise in units of the grey range.

    Drawings and digits are black and white, and noise is what they would not forgive; photographs
    have noise of their own, and more of it keeps the network from modelling that.

    Args:
        drawn: share of the pixels that are black or white.
    """
    return NOISE_OF_DRAWINGS if drawn >= AT_ENDS else NOISE_OF_PHOTOGRAPHS


def find_means_lr_factor(num_dims: int) -> float:
    """How many times faster the component means learn than the network.

    The more dimensions, the slower, or classes drift far apart: a power of their number through
    what is right at 784 and at 12,288, and no further than those.
    """
    (small, most), (large, least) = MEANS_LR_FACTORS
    power = math.log(least / most) / math.log(large / small)
    return float(f"{min(max(most * (num_dims / small) ** power, least), most):.2g}")


def find_balanced(labels: Tensor) -> str:
    """Why training images of labels (N,) are balanced, or not."""
    ratio = largest_to_smallest(labels)
    return f"the largest class has {ratio:.1f} times the images of the smallest"


def _recipe() -> dict[str, Any]:
    """What the shipped experiment sets of an `IBINN`, but for what is to be found."""
    content = yaml.safe_load((shipped.FOLDER / RECIPE).read_text(encoding="utf-8"))
    settings: dict[str, Any] = content["model"]["init_args"]
    return {name: value for name, value in settings.items() if value is not None}
