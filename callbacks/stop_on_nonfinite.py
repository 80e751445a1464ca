"""Stop when the loss is no number any more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_ecinn.callbacks.kept_checkpoints import named_files

__all__ = ["NonFiniteLossError", "StopOnNonFiniteLoss"]


class NonFiniteLossError(RuntimeError):
    """The training loss, or a weight, became infinite or NaN."""


class StopOnNonFiniteLoss(pl.Callback):
    """Stop with a message when the training loss is infinite or NaN.

    The loss is looked at on the device after every step, but read only every few steps, so that
    the processor needn't wait for the device. Before a checkpoint is written it is read in any
    case, and so are the weights: one bad step spoils them while its own loss is still finite. So
    every checkpoint on the disk is a good one.

    Args:
        every_n_steps: how often the result is read.

    Example:
        >>> trainer = pl.Trainer(callbacks=[StopOnNonFiniteLoss(every_n_steps=10)], logger=False)
    """

    def __init__(self, every_n_steps: int = 50):
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self._sum: Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with nothing; each process has a sum, also one whose steps are skipped."""
        self._sum = torch.zeros((), device=pl_module.device)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the loss to the ones not read yet: one NaN makes the sum NaN."""
        # Without a loss: a skipped step, or a module that optimizes by itself.
        if self._sum is not None and isinstance(outputs, Mapping) and "loss" in outputs:
            self._sum = self._sum + outputs["loss"].detach()
        if trainer.global_step % self.every_n_steps == 0:
            self._check_loss(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read before the epoch is evaluated."""
        self._check_loss(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read at the end of each epoch."""
        self._check_loss(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse to save weights that are no numbers."""
        self._check_loss(trainer)
        state = checkpoint["state_dict"].items()
        bad = [key for key, value in state if not torch.isfinite(value).all()]
        if bad:
            raise NonFiniteLossError(_message(trainer, f"The network ({bad[0]})"))

    def _check_loss(self, trainer: pl.Trainer) -> None:
        if self._sum is None:  # nothing is trained
            return
        loss_sum, self._sum = self._sum, torch.zeros_like(self._sum)
        if trainer.world_size > 1:  # all processes stop, or none
            loss_sum = trainer.strategy.reduce(loss_sum, reduce_op="sum")
        if not torch.isfinite(loss_sum):
            raise NonFiniteLossError(_message(trainer, "The training loss"))


def _message(trainer: pl.Trainer, what: str) -> str:
    files = [str(trainer.ckpt_path or ""), *named_files(trainer)]  # what was resumed comes first
    kept = [path for path in files if os.path.isfile(path)]
    saved = f"The last good checkpoint is {kept[-1]}" if kept else "No checkpoint was saved yet"
    return (
        f"{what} is not finite at step {trainer.global_step}, epoch {trainer.current_epoch}. "
        f"{saved}. Lower the learning rate (--model.lr) or the gradient clipping "
        "(--trainer.gradient_clip_val)."
    )
