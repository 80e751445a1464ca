"""What the directions between all classes do, after fitting and testing."""

from __future__ import annotations

import pytorch_lightning as pl
from matplotlib.figure import Figure

from lightning_ecinn.callbacks.end_of_run import DrawsAtTheEnd, NothingToDrawError
from lightning_ecinn.callbacks.loggers import log_figure
from lightning_ecinn.latent.atlas import MOST_PAIRS, latent_atlas, latent_cosines
from lightning_ecinn.latent.directions import classes_with_mean
from lightning_ecinn.training import IBINN

__all__ = ["LatentAtlas"]


class LatentAtlas(DrawsAtTheEnd):
    """Draw every class mean's picture, what every direction adds to it, and the angles between.

    Two pictures, see `latent_atlas` and `latent_cosines`; of two classes, which have one direction
    and its opposite, only the first. They need no images and lie beside the other pictures;
    loggers have them under keys that begin with ``latent/``.

    Args:
        max_pairs: of more pairs of classes, those whose class means are nearest are drawn.
        name: file name of the first; the second's is this with "-cosines" behind.

    Example:
        >>> atlas = LatentAtlas(max_pairs=20)
        >>> trainer = pl.Trainer(callbacks=make_callbacks(atlas), logger=False)
    """

    def __init__(self, max_pairs: int = MOST_PAIRS, name: str = "latent-atlas"):
        if isinstance(max_pairs, bool) or not isinstance(max_pairs, int) or max_pairs < 1:
            raise ValueError(
                f"LatentAtlas: max_pairs must be a whole number of at least 1, got {max_pairs!r}."
            )
        self.max_pairs = max_pairs
        self.name = name

    def draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, if the model has latents."""
        if not isinstance(pl_module, IBINN):
            raise NothingToDrawError(
                f"{type(pl_module).__name__} has no latent space with classes; IBINN has."
            )
        explainer = pl_module.explainer
        self._log(trainer, latent_atlas(explainer, max_pairs=self.max_pairs), self.name)
        if len(classes_with_mean(explainer)) > 2:
            figure = latent_cosines(explainer, max_pairs=self.max_pairs)
            self._log(trainer, figure, f"{self.name}-cosines")

    def _log(self, trainer: pl.Trainer, figure: Figure, name: str) -> None:
        log_figure(trainer, figure, name)
