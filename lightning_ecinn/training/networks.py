"""Ordinary classifiers as LightningModules: a small convolutional network and Inception-v3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics.functional import accuracy

from lightning_ecinn.models.networks import ConvNetwork, InceptionNetwork, Network
from lightning_ecinn.training.shared import (
    Stage,
    adamw,
    check_description,
    check_same_images,
    seed_step,
)

__all__ = ["InceptionV3", "NetworkModule", "SmallCNN"]


class NetworkModule(pl.LightningModule):
    """Trains an ordinary network by cross-entropy; the base of :class:`SmallCNN` and others.

    Batches are ``(images, labels, ...)``: images (B, C, H, W) uint8, or float in [0, 1]; labels
    (B,). A subclass builds ``self.network`` and has the hyperparameters of `_check_settings`.
    """

    kind: ClassVar[str]
    """The kind of network, as a checkpoint names it."""

    network: Network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K)."""
        return self.network(images)

    @property
    def _settings(self) -> Any:
        """The constructor's arguments by name."""
        return self.hparams

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed dropout by step, so that a resumed run repeats the original."""
        seed_step(self, "train", self.global_step)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The cross-entropy, with label smoothing."""
        return self._loss("train", batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log loss and accuracy."""
        self._loss("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log loss and accuracy."""
        self._loss("test", batch)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """p(y|x) of a batch, (B, K)."""
        return self.network.posterior(batch[0])

    def configure_optimizers(self) -> Any:
        """AdamW, which is Adam where there is no weight decay."""
        return adamw(self)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what builds the network again, so that `load_network` needs nothing else."""
        checkpoint["network"] = self.network.config

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of a network for other images or classes."""
        if "network" in checkpoint:
            check_same_images(checkpoint["network"], self.network.config)

    def _loss(self, stage: Stage, batch: Any) -> Tensor:
        """The loss of a batch, a scalar in nats; logged with the accuracy."""
        images, labels, *_ = batch
        logits = self.network(images)
        loss = cross_entropy(logits, labels, label_smoothing=self._settings.label_smoothing)
        share = accuracy(logits, labels, task="multiclass", num_classes=self.network.num_classes)
        values = {f"{stage}/loss": loss.detach(), f"{stage}/accuracy": share}
        self.log_dict(
            values,
            batch_size=len(labels),
            prog_bar=True,
            on_step=False,
            on_epoch=True,
            sync_dist=True,
        )
        return loss


class SmallCNN(NetworkModule):
    """A small convolutional network, :class:`lightning_ecinn.networks.ConvNetwork`.

    Args:
        image_shape: (C, H, W); the command line takes it from the data.
        num_classes: K; the command line takes it from the data.
        class_names: one name per class; the command line takes them from the data.
        widths: channels of each stage; between them max pooling halves the pictures.
        dropout: share of the features before the last layer left out in training.
        lr: Adam's learning rate (the highest one, with the one-cycle schedule).
        weight_decay: AdamW's decoupled weight decay.
        label_smoothing: share of each label spread over all classes.
        schedule: "constant", or "onecycle": warm up for a fifth of the training, then anneal to
            zero, step by step.
    """

    kind = ConvNetwork.kind

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        widths: list[int] = [16, 32, 64],  # noqa: B006 (never changed; shown by --help)
        dropout: float = 0.0,
        lr: float = 0.001,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        schedule: Literal["constant", "onecycle"] = "constant",
    ):
        super().__init__()
        check_description(image_shape, num_classes)
        self.save_hyperparameters()
        _check_settings(self._settings)
        self.network = ConvNetwork(
            image_shape, num_classes, class_names, widths=widths, dropout=dropout
        )


class InceptionV3(NetworkModule):
    """Inception-v3, :class:`lightning_ecinn.networks.InceptionNetwork`.

    The defaults are the ECINN paper's settings (supplement, "Inception-V3"), for 9 epochs.

    Args:
        image_shape: (C, H, W); the command line takes it from the data.
        num_classes: K; the command line takes it from the data.
        class_names: one name per class; the command line takes them from the data.
        weights: where training starts: None for random weights, "imagenet" for those trained on
            ImageNet, which are downloaded.
        dropout: share of the features before the last layer left out in training.
        lr: Adam's learning rate (the highest one, with the one-cycle schedule).
        weight_decay: AdamW's decoupled weight decay.
        label_smoothing: share of each label spread over all classes.
        schedule: "constant", or "onecycle": warm up for a fifth of the training, then anneal to
            zero, step by step.
    """

    kind = InceptionNetwork.kind

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        weights: Literal["imagenet"] | None = None,
        dropout: float = 0.5,
        lr: float = 0.001,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        schedule: Literal["constant", "onecycle"] = "constant",
    ):
        super().__init__()
        check_description(image_shape, num_classes)
        self.save_hyperparameters(ignore=["weights"])  # a checkpoint needs no download
        _check_settings(self._settings)
        self.network = InceptionNetwork(
            image_shape, num_classes, class_names, weights=weights, dropout=dropout
        )


def _check_settings(h: Any) -> None:
    """Refuse what can't be trained with before anything is built."""
    if not h.lr > 0:
        raise ValueError(f"lr is {h.lr}; give a positive number.")
    if not h.weight_decay >= 0:
        raise ValueError(f"weight_decay is {h.weight_decay}; give a number that is not negative.")
    if not 0 <= h.label_smoothing < 1:
        raise ValueError(
            f"label_smoothing is {h.label_smoothing}; give a number from 0 to less than 1."
        )
