"""Ordinary classifiers as LightningModules: a small convolutional network and Inception-v3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor
from torch.nn.functional import cross_entropy

from lightning_ecinn.models.networks import ConvNetwork, InceptionNetwork, Network
from lightning_ecinn.training.checks import check_description, check_known, check_share
from lightning_ecinn.training.first_batch import (
    images_alone,
    images_and_labels,
    more_than_one_value,
)
from lightning_ecinn.training.optimisers import AdamWSettings, adamw
from lightning_ecinn.training.plain import plain
from lightning_ecinn.training.shared import (
    DescribedModule,
    Stage,
    accuracy,
    log_epoch,
    seed_step,
)

__all__ = ["InceptionV3", "NetworkModule", "NetworkSettings", "SmallCNN"]


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(AdamWSettings):
    """How an ordinary network is trained.

    Args:
        label_smoothing: share of each label spread over all classes.
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(label_smoothing=self.label_smoothing)


class NetworkModule(DescribedModule):
    """Trains an ordinary network by cross-entropy; the base of :class:`SmallCNN` and others.

    Batches are ``(images, labels, ...)``: images (B, C, H, W) uint8, or float in [0, 1]; labels
    (B,). A subclass builds ``self.network``.

    Args:
        **training: see :class:`NetworkSettings`.
    """

    entry = "network"
    optimiser = AdamWSettings
    kind: ClassVar[str]
    """The kind of network, as a checkpoint names it."""

    network: Network

    def __init__(self, **training: Any):
        super().__init__()
        check_known(training, NetworkSettings, type(self).__name__)
        settings = NetworkSettings(**training)
        training.update(asdict(settings))
        self.save_hyperparameters()

    @property
    def _settings(self) -> Any:
        """The constructor's arguments by name."""
        return self.hparams

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K)."""
        return self.network(images)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed dropout by step, so that a resumed run repeats the original."""
        seed_step(self)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The cross-entropy, with label smoothing."""
        with more_than_one_value():
            return self._loss("train", batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log loss and accuracy."""
        self._loss("val", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log loss and accuracy."""
        self._loss("test", batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """p(y|x) of a batch, (B, K)."""
        return self.network.posterior(images_alone(batch, batch_idx, self.network))

    def configure_optimizers(self) -> Any:
        """AdamW, which is Adam where there is no weight decay."""
        return adamw(self, self._settings)

    def _loss(self, stage: Stage, batch: Any, batch_idx: int) -> Tensor:
        """The loss of a batch, a scalar in nats; logged with the accuracy."""
        images, labels = images_and_labels(batch, batch_idx, self.network)
        logits = self.network(images)
        loss = cross_entropy(logits, labels, label_smoothing=self._settings.label_smoothing)
        share = accuracy(logits, labels)
        values = {f"{stage}/loss": loss.detach(), f"{stage}/accuracy": share}
        log_epoch(self, values, len(labels), prog_bar=True)
        return loss


class SmallCNN(NetworkModule):
    """A small convolutional network, :class:`lightning_ecinn.ConvNetwork`.

    Args:
        image_shape: (C, H, W); the command line takes it from the data.
        num_classes: K; the command line takes it from the data.
        class_names: one name per class; the command line takes them from the data.
        widths: channels of each stage; between them max pooling halves the pictures.
        dropout: share of the features before the last layer left out in training.
        **training: see :class:`NetworkSettings`.

    Example:
        >>> module = SmallCNN((1, 28, 28), 10, widths=[8, 16], lr=0.003, schedule="onecycle")
        >>> module(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    kind = ConvNetwork.kind

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        widths: list[int] = [16, 32, 64],  # noqa: B006 (never changed; shown by --help)
        dropout: float = 0.0,
        **training: Any,
    ):
        super().__init__(**training)
        image_shape, class_names = plain(image_shape), plain(class_names)
        check_description(image_shape, num_classes)
        self.save_hyperparameters()
        self.network = ConvNetwork(
            image_shape, num_classes, class_names, widths=widths, dropout=dropout
        )


class InceptionV3(NetworkModule):
    """Inception-v3, :class:`lightning_ecinn.InceptionNetwork`.

    The defaults are the ECINN paper's settings (supplement, "Inception-V3"), for 9 epochs.

    Args:
        image_shape: (C, H, W); the command line takes it from the data.
        num_classes: K; the command line takes it from the data.
        class_names: one name per class; the command line takes them from the data.
        weights: where training starts: None for random weights, "imagenet" for those trained on
            ImageNet, which are downloaded.
        dropout: share of the features before the last layer left out in training.
        side: of the pictures it sees, in pixels, 75 or more; fewer than the paper's 224 are
            trained sooner.
        **training: see :class:`NetworkSettings`.

    Example:
        >>> module = InceptionV3((3, 64, 64), 2, ["not smiling", "smiling"])
        >>> module.hparams["dropout"], module.network.class_names
        (0.5, ('not smiling', 'smiling'))
    """

    kind = InceptionNetwork.kind

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        weights: Literal["imagenet"] | None = None,
        dropout: float = 0.5,
        side: int = 224,
        **training: Any,
    ):
        super().__init__(**training)
        image_shape, class_names = plain(image_shape), plain(class_names)
        check_description(image_shape, num_classes)
        self.save_hyperparameters(ignore=["weights"])  # a checkpoint needs no download
        self.network = InceptionNetwork(
            image_shape, num_classes, class_names, weights=weights, dropout=dropout, side=side
        )
