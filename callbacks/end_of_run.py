"""What callbacks that draw when everything is finished have in common."""

from __future__ import annotations

import pytorch_lightning as pl

__all__ = ["DrawsAtTheEnd"]


class DrawsAtTheEnd(pl.Callback):
    """Draws once: after fitting, or after testing a checkpoint that was not just fitted."""

    _fit_has_drawn = False

    def draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and log; called on every process."""
        raise NotImplementedError(f"{type(self).__name__} does not say what to draw: define draw.")

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw once the class means are there."""
        self.draw(trainer, pl_module)
        self._fit_has_drawn = True

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw for a tested checkpoint, unless `fit` has just drawn."""
        if not self._fit_has_drawn:
            self.draw(trainer, pl_module)
        self._fit_has_drawn = False
