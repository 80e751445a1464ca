"""What all LightningModules of this project share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

__all__ = [
    "DESCRIPTION",
    "DescribedModule",
    "Stage",
    "accuracy",
    "check_description",
    "check_not_negative",
    "check_positive",
    "check_precision",
    "check_same_images",
    "check_share",
    "log_epoch",
    "seed_step",
]

DESCRIPTION = ("image_shape", "num_classes", "class_names")
"""What a model takes from the data."""

Stage = Literal["train", "val", "test"]
_STREAMS = {"train": 0, "val": 1, "test": 2}


class DescribedModule(pl.LightningModule):
    """A module whose checkpoints say what builds its model again.

    Its model, with a ``config`` of plain values, is the attribute called like the entry.
    """

    entry: ClassVar[str]
    """In :data:`lightning_ecinn.models.checkpoints.KINDS`."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what builds the model again, so that whoever loads it needs nothing else."""
        checkpoint[self.entry] = getattr(self, self.entry).config

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of a model of other images or classes."""
        if self.entry in checkpoint:
            check_same_images(checkpoint[self.entry], getattr(self, self.entry).config)


def check_description(image_shape: Sequence[int] | None, num_classes: int | None) -> None:
    """Refuse data that don't say what they are, of which the command line passes on nothing."""
    if image_shape is None or num_classes is None:
        raise ValueError(
            "The data module must say what its images are: give it the attributes image_shape, "
            "(C, H, W), and num_classes."
        )


def check_positive(**settings: float) -> None:
    """Raise a ValueError for the first of `settings` that is not above 0."""
    for name, value in settings.items():
        if not value > 0:
            raise ValueError(f"{name} is {value}; give a positive number.")


def check_not_negative(**settings: float) -> None:
    """Raise a ValueError for the first of `settings` that is below 0."""
    for name, value in settings.items():
        if not value >= 0:
            raise ValueError(f"{name} is {value}; give a number that is not negative.")


def check_share(**settings: float) -> None:
    """Raise a ValueError for the first of `settings` that is not from 0 to less than 1."""
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is {value}; give a number from 0 to less than 1.")


def check_precision(trainer: pl.Trainer) -> None:
    """Refuse precisions in which no flow can be inverted."""
    if trainer.precision in ("16-true", "bf16-true"):
        raise ValueError(
            f"An invertible network can't be computed in {trainer.precision}: give precision: "
            'bf16-mixed, "32-true" or "64-true".'
        )


def check_same_images(checkpoint: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse a checkpoint's model, by its ``config``, whose images or classes are not ours."""
    for key in DESCRIPTION:
        theirs, ours = checkpoint.get(key), config[key]
        if theirs != ours:
            raise ValueError(
                f"The network in the checkpoint has {key} {theirs}, but the data's is {ours}: give "
                "the configuration of the data it was trained on."
            )


def seed_step(module: pl.LightningModule, stage: Stage, step: int) -> None:
    """Seed torch by run, stage, step and process: a resumed run then repeats the original."""
    run_seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
    key = [run_seed, _STREAMS[stage], step, module.global_rank]
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of logits (B, K) that are largest at their label (B,).

    Not torchmetrics': that looks at the values, and the processor would wait for the device.
    """
    return (logits.argmax(1) == labels).float().mean()


def log_epoch(
    module: pl.LightningModule,
    values: Mapping[str, Tensor],
    batch_size: int,
    *,
    prog_bar: bool = False,
) -> None:
    """Log averages over the images of an epoch and over all processes.

    Args:
        module: what logs.
        values: averages over a batch, by name.
        batch_size: its images.
        prog_bar: whether the progress bar shows them.
    """
    module.log_dict(
        values,
        batch_size=batch_size,
        prog_bar=prog_bar,
        on_step=False,
        on_epoch=True,
        sync_dist=True,
    )
