"""Curves over steps: what the epochs' averages are averages of, every so many steps."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from lightning_ecinn.callbacks.loggers import define_axes, end_moment, log_step
from lightning_ecinn.training.shared import DescribedModule

__all__ = ["StepCurves"]


class StepCurves(pl.Callback):
    """Send what a training step found to every logger, every ``log_every_n_steps`` steps.

    Keys: ``train/loss_step``, ``train/l_x_step``, ``train/accuracy_step`` and so on, of one batch
    of the first process; ``train/lr``, the learning rate of the first parameter group, and
    ``train/grad_norm``, the gradient's Euclidean norm before it is clipped. The averages of an
    epoch keep their names without ``_step``, and checkpoints, ``metrics.json`` and the progress
    bar know only those: nothing else is called anything new.

    Between logged steps nothing is computed, and the device is not waited for.

    In Weights & Biases, ``val/...`` is drawn over epochs, and a run's summary keeps the best value
    of what checkpoints monitor and of ``val/accuracy``, beside the last one.

    Example:
        >>> curves = StepCurves()
        >>> trainer = pl.Trainer(callbacks=[curves], log_every_n_steps=10, logger=False)
    """

    def __init__(self) -> None:
        self._norm: Tensor | None = None
        """Of a step that is to be logged."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what is drawn over what."""
        define_axes(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Pictures that were drawn before this step are not of it."""
        end_moment(trainer)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Take the gradient's norm, if this step is to be logged."""
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        is_due = every and trainer.loggers and (trainer.global_step + 1) % every == 0
        if is_due and trainer.is_global_zero:
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            self._norm = get_total_norm(gradients)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Read all numbers at once, and send them."""
        norm, self._norm = self._norm, None
        if norm is None:
            return
        values = {f"{key}_step": value for key, value in _of_step(pl_module).items()}
        values["train/grad_norm"] = norm
        read = torch.stack([value.to(norm) for value in values.values()]).tolist()
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        log_step(trainer, {**dict(zip(values, read, strict=True)), "train/lr": rate})


def _of_step(pl_module: pl.LightningModule) -> dict[str, Tensor]:
    return pl_module.of_step if isinstance(pl_module, DescribedModule) else {}
