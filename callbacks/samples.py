"""Samples of every class while training."""

from __future__ import annotations

import pytorch_lightning as pl
import torch

from lightning_ecinn.callbacks.loggers import log_figure
from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.figures import picture_grid
from lightning_ecinn.training import IBINN

__all__ = ["ClassSamples"]


class ClassSamples(pl.Callback):
    """Draw images of every class from the model, in columns, while it trains.

    Args:
        every_n_epochs: how often; the last epoch is always drawn.
        per_class: images per class.
        temperature: standard deviation of the latents around the class's component mean.
        seed: the same latents are drawn every time, so that pictures can be compared.

    Example:
        >>> samples = ClassSamples(every_n_epochs=5)
        >>> trainer = pl.Trainer(callbacks=make_callbacks(samples), logger=False)
    """

    def __init__(
        self,
        every_n_epochs: int = 5,
        per_class: int = 6,
        temperature: float = 0.8,
        seed: int = 0,
    ):
        if every_n_epochs < 1 or per_class < 1:
            raise ValueError(
                "every_n_epochs and per_class must be at least 1, got "
                f"{every_n_epochs} and {per_class}."
            )
        self.every_n_epochs = every_n_epochs
        self.per_class = per_class
        self.temperature = temperature
        self.seed = seed

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw after validation, when the module is in evaluation mode."""
        epoch = trainer.current_epoch + 1
        is_due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs
        if trainer.sanity_checking or not is_due or not isinstance(pl_module, IBINN):
            return
        if not trainer.is_global_zero or trainer.state.fn != "fit":
            return
        with going_on(trainer, f"Samples of epoch {epoch} could not be drawn"):
            self._draw(trainer, pl_module.explainer, epoch)

    def _draw(self, trainer: pl.Trainer, explainer: Explainer, epoch: int) -> None:
        labels = torch.arange(explainer.num_classes).repeat(self.per_class)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            samples = explainer.sample(labels, temperature=self.temperature)
        rows = samples.unflatten(0, (self.per_class, explainer.num_classes))
        figure = picture_grid(
            [list(row.cpu()) for row in rows],
            column_labels=list(explainer.class_names),
            title=f"samples, temperature {self.temperature:g}, epoch {epoch}",
        )
        log_figure(trainer, figure, f"samples-epoch{epoch:03d}", series="samples-classes")
