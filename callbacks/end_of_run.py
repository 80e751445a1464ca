"""What callbacks that draw when everything is finished have in common."""

from __future__ import annotations

from collections.abc import Mapping

import pytorch_lightning as pl

from lightning_ecinn.callbacks.given_loaders import has_images, with_given_loaders
from lightning_ecinn.callbacks.remarks import going_on, remark
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.training import IBINN

__all__ = ["DrawsAtTheEnd", "ExplainsAtTheEnd", "NothingToDrawError"]


class NothingToDrawError(Exception):
    """There is nothing that a picture could show; says why."""


class DrawsAtTheEnd(pl.Callback):
    """Draws once: after fitting, or after testing a checkpoint that was not just fitted.

    A picture that can't be drawn is remarked upon and ends no run. Images that the trainer does
    not have are missed at the start.
    """

    name: str
    """What the picture is called."""
    _fit_has_drawn = False

    def draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log; called on the first process, unless the run was interrupted.

        Raises:
            NothingToDrawError: says why there is no picture.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what to draw: define draw.")

    def needs(self) -> Mapping[SplitName, str]:
        """The splits that images are drawn from, each with what to do where there is none."""
        return {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what could not be drawn when hours have passed."""
        self._check_images(trainer)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what could not be drawn."""
        if not self._fit_has_drawn:
            self._check_images(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw once the class means are there."""
        if trainer.global_step > 0:  # else nothing was trained
            self._try_to_draw(trainer, pl_module)
        self._fit_has_drawn = True

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw for a tested checkpoint, unless `fit` has just drawn."""
        if not self._fit_has_drawn:
            self._try_to_draw(trainer, pl_module)
        self._fit_has_drawn = False

    def _try_to_draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.interrupted:
            return
        with going_on(trainer, f"{self.name} could not be drawn"), with_given_loaders(trainer):
            try:
                self.draw(trainer, pl_module)
            except NothingToDrawError as error:
                remark(trainer, f"{self.name} is left out: {error}")

    def _check_images(self, trainer: pl.Trainer) -> None:
        for split, remedy in self.needs().items():
            if not has_images(trainer, split):
                raise ValueError(
                    f"{type(self).__name__} needs {split} images, but the trainer was given none: "
                    f"{remedy}, or give a DataModule with {split}_dataloader."
                )


class ExplainsAtTheEnd(DrawsAtTheEnd):
    """Draws counterfactuals of the images of one split; nothing for another module than IBINN."""

    split: SplitName

    def needs(self) -> Mapping[SplitName, str]:
        """The images of one split."""
        return {self.split: "choose another split"}

    def draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Explain, if there is something to explain with."""
        if not isinstance(pl_module, IBINN):
            return
        if not pl_module.classifier.class_counts.any():
            raise NothingToDrawError("No class means, no counterfactuals; `means` builds them.")
        self.draw_explained(trainer, pl_module)

    def draw_explained(self, trainer: pl.Trainer, module: IBINN) -> None:
        """As `draw`, of a module that has class means."""
        raise NotImplementedError(f"{type(self).__name__} does not say what to draw.")
