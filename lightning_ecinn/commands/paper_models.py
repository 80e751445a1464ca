"""What the paper's figures are drawn of: models, and images that they classify correctly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from lightning_ecinn import shipped
from lightning_ecinn.attribution import posterior
from lightning_ecinn.callbacks.end_of_run import NothingToDrawError
from lightning_ecinn.comparison import explained_model
from lightning_ecinn.datamodules import FakeMNIST
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.models.checkpoints import read_checkpoint
from lightning_ecinn.runs import name_models
from lightning_ecinn.training.batches import CorrectImages, read_first_images

__all__ = ["PaperModels"]

_MOST = 10_000
"""Images whose share of correct classes is a model's accuracy."""


class PaperModels:
    """The models and the images that figures are drawn of.

    Args:
        trainer: knows data and device.
        ckpt_paths: of the models.
        split: where the images come from.

    Attributes:
        all: an :class:`Explainer` where a model has counterfactuals, else the model.
        names: of each, no name twice.
        betas: what each was trained with, where its checkpoint says it.

    Raises:
        FileNotFoundError: for a checkpoint that does not exist.
        ValueError: for files that are none, and for a first model of other images than the data's.
    """

    def __init__(self, trainer: pl.Trainer, ckpt_paths: Sequence[str], split: SplitName):
        paths = [str(shipped.resolve(path).absolute()) for path in ckpt_paths]
        checkpoints = [read_checkpoint(path, "classifier", "network") for path in paths]
        self.trainer = trainer
        self.split = split
        self.data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.betas: list[float | None] = [one.settings.get("beta") for one in checkpoints]
        self.names = _names(paths, self.betas)
        self._accuracies: dict[int, float] = {}
        self.configs = [one.config for one in checkpoints]
        if not self.fits(0):
            raise ValueError(
                f"--ckpt_path {paths[0]} is a model of other images or classes than the data's: "
                "give the --config that it was trained with."
            )
        device = trainer.strategy.root_device
        for one in checkpoints:
            one.model().to(device)
        self.all: list[Any] = list(map(explained_model, checkpoints))

    @property
    def explainer(self) -> Explainer:
        """The first model's.

        Raises:
            NothingToDrawError: it has none.
        """
        if not isinstance(self.all[0], Explainer):
            raise NothingToDrawError(
                f"it needs an invertible model with class means, and {self.names[0]} is none."
            )
        return self.all[0]

    @property
    def is_fake(self) -> bool:
        """Whether the class is a pixel in the corner, whatever the digit."""
        return isinstance(self.data, FakeMNIST)

    @property
    def num_classes(self) -> int:
        """Of the data."""
        return int(self.data.num_classes)

    def fits(self, number: int) -> bool:
        """Whether a model is one of the data's images and classes."""
        config, data = self.configs[number], self.data
        same_images = tuple(config["image_shape"]) == tuple(data.image_shape)
        return same_images and config["num_classes"] == data.num_classes

    @cached_property
    def correct(self) -> CorrectImages:
        """What the first model classifies correctly."""
        return CorrectImages(self.trainer, self.all[0], self.split, seed=0)

    @cached_property
    def images(self) -> tuple[Tensor, Tensor]:
        """Images and labels."""
        return read_first_images(self.trainer, self.split, limit=_MOST)

    def accuracy(self, number: int) -> float:
        """The share of the images that a model classifies correctly."""
        if number not in self._accuracies:
            images, labels = self.images
            predicted = posterior(self.all[number], images).argmax(1).cpu()
            self._accuracies[number] = float((predicted == labels).float().mean())
        return self._accuracies[number]


def _names(paths: Sequence[str], betas: Sequence[float | None]) -> list[str]:
    """Of models; those of one experiment, as a sweep's, by what tells them apart."""
    experiments = [name_models([path])[0] for path in paths]
    if len(set(experiments)) < len(paths) == len(set(betas)) and None not in betas:
        return [f"{one}, β = {beta:g}" for one, beta in zip(experiments, betas, strict=True)]
    return name_models(paths)
