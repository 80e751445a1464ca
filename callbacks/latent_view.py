"""The paper's Figure 2 of the model itself, after fitting and testing."""

from __future__ import annotations

from collections.abc import Mapping

import pytorch_lightning as pl

from lightning_ecinn.callbacks.end_of_run import DrawsAtTheEnd, NothingToDrawError
from lightning_ecinn.callbacks.loggers import log_figure
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.latent.directions import given_classes
from lightning_ecinn.latent.view import latent_view
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import draw_images

__all__ = ["LatentView"]


class LatentView(DrawsAtTheEnd):
    """Draw latents of two classes in a plane, where they tie, and a counterfactual's path.

    What the plane is, and what in it is exact, says `latent_view`. The picture lies beside the
    others; loggers have it under a key that begins with ``latent/``.

    Args:
        source: class p, by number or name.
        target: class q; of what is not given, the ones whose class means are nearest.
        images: how many images are drawn at random, of all classes together.
        split: where they come from: "train", "val" or "test".
        seed: which images are drawn.
        name: file name; by default says which classes were asked for.

    Example:
        >>> figure_2 = LatentView(source=4, target=9)
        >>> trainer = pl.Trainer(callbacks=make_callbacks(figure_2), logger=False)
    """

    def __init__(
        self,
        source: int | str | None = None,
        target: int | str | None = None,
        images: int = 1000,
        split: SplitName = "test",
        seed: int = 0,
        name: str | None = None,
    ):
        if isinstance(images, bool) or not isinstance(images, int) or images < 2:
            raise ValueError(
                f"LatentView: images must be a whole number of at least 2, got {images!r}."
            )
        self.source = source
        self.target = target
        self.images = images
        self.split = split
        self.seed = seed
        self.name = name or self._default_name()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse classes that do not exist before anything is trained."""
        if not isinstance(pl_module, IBINN):
            return
        try:
            given_classes(pl_module.classifier, self.source, self.target)
        except ValueError as error:
            raise ValueError(f"LatentView: {error}") from None

    def needs(self) -> Mapping[SplitName, str]:
        """The images of one split."""
        return {self.split: "choose another split"}

    def draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, if the model has latents."""
        if not isinstance(pl_module, IBINN):
            raise NothingToDrawError(
                f"{type(pl_module).__name__} has no latent space with classes; IBINN has."
            )
        images, labels = draw_images(trainer, self.split, self.images, self.seed)
        figure = latent_view(pl_module.explainer, images, labels, self.source, self.target)
        log_figure(trainer, figure, self.name)

    def _default_name(self) -> str:
        if self.source is None and self.target is None:
            return "latent-view"
        source, target = ("nearest" if k is None else k for k in (self.source, self.target))
        return f"latent-view-{source}to{target}"
