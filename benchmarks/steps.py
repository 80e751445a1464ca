"""Networks to train on random pictures, and a training step without a Trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.training import IBINN

__all__ = [
    "FACES",
    "MNIST",
    "TINY",
    "Bare",
    "Network",
    "RandomImages",
    "Step",
    "random_batch",
    "training_step",
]

Step = Callable[[], None]


class Bare(IBINN):
    """Trains without a Trainer: what it logs is thrown away."""

    def log_dict(self, *args: Any, **kwargs: Any) -> None:
        """Log nothing."""


class RandomImages(InMemoryDataModule):
    """Random pictures and labels.

    Args:
        image_shape: (C, H, W).
        num_classes: K.
        size: how many training images.
        batch_size: images per training batch.
    """

    def __init__(self, image_shape: tuple[int, ...], num_classes: int, size: int, batch_size: int):
        names = [str(k) for k in range(num_classes)]
        super().__init__(image_shape, names, val_size=0, batch_size=batch_size)
        self.size = size

    def load(self, train: bool) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) uint8 and labels (N,)."""
        return random_batch(self.image_shape, self.num_classes, self.size)


@dataclass
class Network:
    """A network to train on random pictures.

    Attributes:
        name: for the tables.
        settings: what IBINN takes.
        batch: images per step.
        stages: hidden channels and side of each stage.
    """

    name: str
    settings: dict[str, Any]
    batch: int
    stages: Sequence[tuple[int, int]] = ()

    def build(self, **more: Any) -> Bare:
        """A module with small steps, so that random data can't make its weights overflow."""
        torch.manual_seed(0)
        return Bare(**{"lr": 1e-6, **self.settings, **more})

    def data(self) -> tuple[Tensor, Tensor]:
        """One batch of random pictures."""
        return random_batch(self.settings["image_shape"], self.settings["num_classes"], self.batch)


MNIST = Network("MNIST", {"image_shape": (1, 28, 28), "num_classes": 10}, 128, ((32, 14), (64, 7)))
_FACES = {
    "image_shape": (3, 64, 64),
    "num_classes": 2,
    "blocks": [8, 24, 24],
    "widths": [16, 32, 64],
    "dropouts": [0.0, 0.0, 0.25],
    "init_scale": 0.75,
}
FACES = Network("faces", _FACES, 32, ((16, 64), (32, 32), (64, 16)))
_TINY = {"image_shape": (1, 8, 8), "num_classes": 2, "blocks": [1, 1], "widths": [4, 4]}
TINY = Network("tiny", {**_TINY, "fc_width": 8}, 4, ((4, 4),))


def random_batch(
    image_shape: tuple[int, ...], num_classes: int, size: int
) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) uint8 and labels (N,), the same in every call."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (size, *image_shape), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, num_classes, (size,), generator=generator)


def training_step(
    module: Bare, batch: tuple[Tensor, Tensor], *, bfloat16: bool = False, clip: float = 8.0
) -> Step:
    """One optimiser step on a batch, in the order of Lightning's automatic optimisation.

    Args:
        module: in training mode afterwards.
        batch: images and labels.
        bfloat16: forward and loss under autocast.
        clip: the largest norm of the gradient.
    """
    module.train()
    optimizer = module.configure_optimizers()["optimizer"]
    parameters = list(module.parameters())

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext():
            loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()

    return step
