"""Stop when the loss is no number any more."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

__all__ = ["NonFiniteLossError", "StopOnNonFiniteLoss"]


class NonFiniteLossError(RuntimeError):
    """The training loss became infinite or NaN."""


class StopOnNonFiniteLoss(pl.Callback):
    """Stop with a message when the training loss is infinite or NaN.

    The loss is looked at on the device after every step, but read only every few steps, so that
    the processor needn't wait for the device. Before an epoch's checkpoint is written it is read
    in any case: the last good checkpoint is kept.

    Args:
        every_n_steps: how often the result is read.
    """

    def __init__(self, every_n_steps: int = 50):
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be at least 1, got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self._sum: Tensor | None = None

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the loss to the ones not read yet: one NaN makes the sum NaN."""
        loss = outputs["loss"].detach()
        self._sum = loss if self._sum is None else self._sum + loss
        if trainer.global_step % self.every_n_steps == 0:
            self._check(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read before anything is saved."""
        self._check(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read before anything is saved."""
        self._check(trainer)

    def _check(self, trainer: pl.Trainer) -> None:
        loss_sum, self._sum = self._sum, None
        if loss_sum is None or torch.isfinite(loss_sum):
            return
        callback = trainer.checkpoint_callback
        kept = getattr(callback, "last_model_path", "") or getattr(callback, "best_model_path", "")
        saved = f"The last good checkpoint is {kept}" if kept else "No checkpoint was saved yet"
        raise NonFiniteLossError(
            f"The training loss is not finite at step {trainer.global_step}, epoch "
            f"{trainer.current_epoch}. {saved}. Lower the learning rate (--model.lr) or the "
            "gradient clipping (--trainer.gradient_clip_val)."
        )
