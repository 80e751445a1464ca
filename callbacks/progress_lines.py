"""How far a training or a test is, where the output is no terminal."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from torch import Tensor
from tqdm import tqdm

from lightning_ecinn.progress import progress_bar

__all__ = ["ProgressLines", "lines_if_no_terminal"]


class ProgressLines(pl.callbacks.ProgressBar):
    """Lightning's progress bar for logs and files: a line for each tenth, or each five minutes.

    It says the batches done, images per second of this process, and the time left. Steps of less
    than ten seconds have no line. The command line takes it where the output is no terminal.

    Example:
        >>> trainer = pl.Trainer(max_epochs=1, logger=False, callbacks=[ProgressLines()])
        >>> type(trainer.progress_bar_callback).__name__
        'ProgressLines'
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_on = True
        self._bar: tqdm | None = None
        self._images, self._began = 0, 0.0

    def enable(self) -> None:
        """Say something from now on."""
        self._is_on = True

    def disable(self) -> None:
        """Say nothing: another process does."""
        self._is_on = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with what was done before."""
        batches = trainer.num_training_batches
        steps = [batches * epochs for epochs in [trainer.max_epochs or -1] if epochs > 0]
        if trainer.max_steps > 0:
            steps.append(trainer.max_steps * trainer.accumulate_grad_batches)
        done = 0 if math.isinf(batches) else trainer.current_epoch * int(batches)
        self._begin("training", min(steps, default=math.inf), done)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Count."""
        epochs = f" of {trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        self._count(args[2], f", epoch {trainer.current_epoch + 1}{epochs}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say nothing more."""
        self._end()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin, unless it is part of a training."""
        if trainer.state.fn != "fit":
            self._begin("validation", sum(trainer.num_val_batches))

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Count."""
        if trainer.state.fn != "fit":
            self._count(args[2])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say nothing more."""
        if trainer.state.fn != "fit":
            self._end()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin."""
        self._begin("test", sum(trainer.num_test_batches))

    def on_test_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Count."""
        self._count(args[2])

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say nothing more."""
        self._end()

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin."""
        self._begin("prediction", sum(trainer.num_predict_batches))

    def on_predict_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Count."""
        self._count(args[2])

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say nothing more."""
        self._end()

    def _begin(self, title: str, total: float, done: int = 0) -> None:
        known = None if math.isinf(total) else int(total)
        self._images, self._began = 0, time.monotonic()
        self._bar = progress_bar(
            title=title, total=known, unit=" batches", shown=self._is_on, initial=done
        )

    def _count(self, batch: Any, more: str = "") -> None:
        if self._bar is None:
            return
        first = batch[0] if isinstance(batch, list | tuple) and len(batch) else batch
        self._images += len(first) if isinstance(first, Tensor) and first.ndim else 0
        rate = self._images / max(time.monotonic() - self._began, 1e-9)
        self._bar.set_postfix_str(f"{rate:,.0f} images/s{more}", refresh=False)
        self._bar.update()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def lines_if_no_terminal(chosen: Sequence[pl.Callback]) -> list[pl.Callback]:
    """What tells a log how far a run is: nothing beside a terminal, or a bar of the user's own."""
    has_one = any(isinstance(one, pl.callbacks.ProgressBar) for one in chosen)
    is_terminal = sys.stdout.isatty()  # where Lightning's bar is drawn
    return [] if has_one or is_terminal else [ProgressLines()]
