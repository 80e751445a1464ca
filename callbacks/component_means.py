"""Where the mixture's component means begin."""

from __future__ import annotations

import pytorch_lightning as pl
import torch

from lightning_ecinn.ecinn.class_means import ClassMeans
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import read_first_images

__all__ = ["ComponentMeansFromData"]

_CHUNK = 256


class ComponentMeansFromData(pl.Callback):
    """Begin training with mu_y as the mean latent of the images of class y.

    IB-INN begins with mu_y spread over all latents (5 / sqrt(2D / K) in every K-th), and the
    network has to turn the picture towards them. Where a class lies in a few pixels, it is simpler
    to begin where the classes are: with couplings that change nothing yet (``zero_init``), the
    difference of two means is that of two mean pictures. A resumed training is left alone.

    Args:
        images: training images that the means are over.

    Example:
        >>> callbacks = make_callbacks(ComponentMeansFromData(images=5000))
        >>> trainer = pl.Trainer(callbacks=callbacks, logger=False)
    """

    def __init__(self, images: int = 10_000):
        if images < 1:
            raise ValueError(f"ComponentMeansFromData: images must be at least 1, got {images}.")
        self.images = images

    @torch.no_grad()
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the means, the same on every process."""
        if not isinstance(pl_module, IBINN) or trainer.global_step > 0:
            return
        classifier = pl_module.classifier
        metric = ClassMeans(classifier.num_classes, classifier.num_dims).to(pl_module.device)
        metric.sync_on_compute = False  # every process sees the same images
        images, labels = read_first_images(trainer, "train", self.images)
        for x, y in zip(images.split(_CHUNK), labels.split(_CHUNK), strict=True):
            v = classifier.preprocessing(x.to(pl_module.device))
            metric.update(classifier.flow(v)[0], y.to(pl_module.device))
        means, counts = metric.compute()
        missing = [classifier.class_names[k] for k in (counts == 0).nonzero().flatten().tolist()]
        if missing:
            raise ValueError(
                f"ComponentMeansFromData: among {len(images)} training images there is none of "
                f"{', '.join(missing)}: give more images, or leave the callback out."
            )
        classifier.mixture.component_means.copy_(means)
