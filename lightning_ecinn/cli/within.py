"""``fit --minutes``: the epochs of a run, counted so that all of it takes about so long."""

from __future__ import annotations

import math
import time

import pytorch_lightning as pl
from jsonargparse import Namespace
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.callbacks import JudgeCounterfactuals
from lightning_ecinn.training.minutes import count_epochs, time_batches

__all__ = ["EpochsWithin", "counts_epochs"]


def counts_epochs(options: Namespace) -> bool:
    """Whether the epochs of a `fit` are to be counted; says so where another setting decides."""
    if options.minutes is None or options.trainer.fast_dev_run:
        return False
    limits = {"max_epochs": None, "max_steps": -1}
    given = [name for name, none in limits.items() if options.trainer[name] != none]
    if given and options.ckpt_path is None:
        value = options.trainer[given[0]]
        rank_zero_info(
            f"{given[0]}: {value} (as given; minutes count only where trainer.{given[0]} is "
            f"{'null' if limits[given[0]] is None else limits[given[0]]})"
        )
    return not given


class EpochsWithin(pl.Callback):
    """Sets a trainer's epochs before it begins: the same on all processes, as the first finds it.

    Args:
        minutes: for the whole command.
        options: the configuration, which is told.
        started: when the command began, by `time.monotonic`.
    """

    def __init__(self, minutes: float, options: Namespace, started: float):
        self.minutes, self.options, self.started = minutes, options, started

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Time some steps and count.

        Raises:
            ValueError: the training data have no length.
        """
        if stage != "fit":
            return
        seconds = self._epoch_seconds(trainer, pl_module)
        spent = time.monotonic() - self.started + _judge_seconds(trainer)
        epochs, seconds = trainer.strategy.broadcast(
            (count_epochs(self.minutes, seconds, spent), seconds)
        )
        trainer.fit_loop.max_epochs = self.options.trainer.max_epochs = epochs
        about = f"about {seconds:,.0f} s" if seconds >= 1 else "less than 1 s"
        late = ", longer than there is time for" if seconds > 60 * self.minutes else ""
        rank_zero_info(f"epochs: {epochs} (each {about} on this machine{late})")

    def _epoch_seconds(self, trainer: pl.Trainer, module: pl.LightningModule) -> float:
        trainer.fit_loop.setup_data()
        validation = trainer.fit_loop.epoch_loop.val_loop
        validation.setup_data()
        batches = trainer.num_training_batches
        if math.isinf(batches):
            raise ValueError(
                f"minutes is {self.minutes:g}, but the training data have no length, so that "
                "nobody knows how long an epoch is: give --trainer.max_steps instead."
            )
        device = trainer.strategy.root_device
        batch = time_batches(
            module,
            trainer.datamodule,  # type: ignore[attr-defined]
            accelerator=device.type,
            devices=1 if device.index is None else [device.index],
            precision=trainer.precision,
            accumulate_grad_batches=trainer.accumulate_grad_batches,
            gradient_clip_val=trainer.gradient_clip_val,
            gradient_clip_algorithm=trainer.gradient_clip_algorithm,
        )
        validations = max(batches // max(int(trainer.val_check_batch or 1), 1), 1)
        every = trainer.check_val_every_n_epoch or 1
        return batches * batch.train + validations * sum(validation.max_batches) * batch.val / every


def _judge_seconds(trainer: pl.Trainer) -> float:
    """What judges trained after the epochs may take, at most."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return 60 * sum(one.minutes for one in callbacks if isinstance(one, JudgeCounterfactuals))
