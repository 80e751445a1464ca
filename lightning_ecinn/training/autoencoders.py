"""The autoencoders of IM1 and IM2 as a LightningModule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.training.shared import Stage, adamw, check_description, check_same_images

__all__ = ["ClassAutoencoders"]


class ClassAutoencoders(pl.LightningModule):
    """One autoencoder per class and one of all images, trained together by squared error.

    They measure how much a counterfactual looks like its class (IM1, IM2): give their checkpoint
    to ``evaluate --autoencoders``. Batches are ``(images, labels, ...)``: images (B, C, H, W)
    uint8, or float in [0, 1]; labels (B,).

    Args:
        image_shape: (C, H, W), even sides; the command line takes it from the data.
        num_classes: K; the command line takes it from the data.
        class_names: one name per class; the command line takes them from the data.
        width: channels of the hidden layers.
        lr: Adam's learning rate (the highest one, with the one-cycle schedule).
        weight_decay: AdamW's decoupled weight decay.
        schedule: "constant", or "onecycle": warm up for a fifth of the training, then anneal to
            zero, step by step.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        width: int = 16,
        lr: float = 0.005,
        weight_decay: float = 0.0,
        schedule: Literal["constant", "onecycle"] = "onecycle",
    ):
        super().__init__()
        check_description(image_shape, num_classes)
        self.save_hyperparameters()
        if not lr > 0 or not weight_decay >= 0:
            raise ValueError(
                f"lr is {lr} and weight_decay {weight_decay}; give a positive learning rate and a "
                "decay that is not negative."
            )
        self.autoencoders = Autoencoders(image_shape, num_classes, class_names, width)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Reconstructions of pictures (B, C, H, W) in [-1/2, 1/2] by each class's, or by all's."""
        return self.autoencoders.reconstruct(images, labels)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Mean squared error per pixel: of each class's autoencoder plus that of all's."""
        return self._loss("train", batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log the loss."""
        self._loss("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log the loss."""
        self._loss("test", batch)

    def on_predict_start(self) -> None:
        """Refuse `predict`: there is nothing that autoencoders say of an image."""
        raise ValueError(
            "Autoencoders predict nothing: give their checkpoint to `evaluate --autoencoders`."
        )

    def configure_optimizers(self) -> Any:
        """AdamW, which is Adam where there is no weight decay."""
        return adamw(self)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what builds the autoencoders again, for `load_autoencoders`."""
        checkpoint["autoencoders"] = self.autoencoders.config

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of autoencoders of other images or classes."""
        if "autoencoders" in checkpoint:
            check_same_images(checkpoint["autoencoders"], self.autoencoders.config)

    def _loss(self, stage: Stage, batch: Any) -> Tensor:
        images, labels, *_ = batch
        v = images / 255 if images.dtype == torch.uint8 else images
        v = v - 0.5
        loss = mse_loss(self(v, labels), v) + mse_loss(self(v), v)
        self.log(
            f"{stage}/loss",
            loss.detach(),
            batch_size=len(labels),
            prog_bar=True,
            on_step=False,
            on_epoch=True,
            sync_dist=True,
        )
        return loss
