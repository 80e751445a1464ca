"""A page to play with counterfactuals, after fitting and testing."""

from __future__ import annotations

import pytorch_lightning as pl

from lightning_ecinn.callbacks.end_of_run import ExplainsAtTheEnd, NothingToDrawError
from lightning_ecinn.callbacks.loggers import log_page
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.page import counterfactual_page, room
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import CorrectImages

__all__ = ["CounterfactualPage"]


class CounterfactualPage(ExplainsAtTheEnd):
    """Write an HTML page of correctly classified images and their counterfactuals to all classes.

    It is complete in itself, see :func:`counterfactual_page`, and lies in the run's ``pictures``;
    Weights & Biases shows it, other loggers get nothing.

    Args:
        count: number of images: one of each class, then a second one of each, ...; by default one
            of each class. A page has room for 20 images and 200 pairs of an image and a class.
        split: where the images come from: "train", "val" or "test".
        seed: which images are drawn.
        name: file name.

    Raises:
        ValueError: for a count that a page has no room for.

    Example:
        >>> page = CounterfactualPage(count=4)
        >>> trainer = pl.Trainer(callbacks=make_callbacks(page), logger=False)
    """

    def __init__(
        self,
        count: int | None = None,
        split: SplitName = "test",
        seed: int = 0,
        name: str = "counterfactuals",
    ):
        if count is not None and count < 1:
            raise ValueError(f"CounterfactualPage: count must be at least 1, got {count}.")
        self.count = count
        self.split = split
        self.seed = seed
        self.name = name

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse more images than there is room for, before anything is trained."""
        if not isinstance(pl_module, IBINN) or self.count is None:
            return
        num_classes = pl_module.classifier.num_classes
        if self.count > room(num_classes):
            raise ValueError(
                f"CounterfactualPage: count must be at most {room(num_classes)} for {num_classes} "
                f"classes, so that the page stays small, got {self.count}."
            )

    def draw_explained(self, trainer: pl.Trainer, module: IBINN) -> None:
        """Write the page, if there is something to write it with."""
        explainer = module.explainer
        num_classes = explainer.num_classes
        images = CorrectImages(trainer, explainer, self.split, self.seed)
        try:
            chosen = images.in_turn(self.count or min(num_classes, room(num_classes)))
        except LookupError as error:
            raise NothingToDrawError(error.args[0]) from None
        page = counterfactual_page(
            explainer,
            images.images[chosen],
            labels=images.labels[chosen],
            names=[f"{self.split} image {i}" for i in chosen.tolist()],
        )
        log_page(trainer, page, self.name)
