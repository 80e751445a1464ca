"""The autoencoders of IM1 and IM2 as a LightningModule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor
from torch.nn.functional import mse_loss

from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.training.checks import check_description, check_known
from lightning_ecinn.training.first_batch import images_and_labels
from lightning_ecinn.training.optimisers import AdamWSettings, adamw
from lightning_ecinn.training.plain import plain
from lightning_ecinn.training.shared import DescribedModule, Stage, log_epoch

__all__ = ["ClassAutoencoders"]


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(AdamWSettings):
    """How autoencoders are trained: as in :class:`AdamWSettings`, from other defaults."""

    lr: float = 0.005
    schedule: Literal["constant", "onecycle"] = "onecycle"


class ClassAutoencoders(DescribedModule):
    """One autoencoder per class and one of all images, trained together by squared error.

    They measure how much a counterfactual looks like its class (IM1, IM2): give their checkpoint
    to ``evaluate --autoencoders``. Batches are ``(images, labels, ...)``: images (B, C, H, W)
    uint8, or float in [0, 1]; labels (B,).

    Args:
        image_shape: (C, H, W), even sides; the command line takes it from the data.
        num_classes: K; the command line takes it from the data.
        class_names: one name per class; the command line takes them from the data.
        width: channels of the hidden layers.
        **training: see :class:`AutoencoderSettings`.

    Example:
        >>> module = ClassAutoencoders((1, 28, 28), 10, width=4)
        >>> module.hparams["lr"], module.autoencoders.num_classes
        (0.005, 10)
    """

    entry = "autoencoders"
    optimiser = AutoencoderSettings

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        width: int = 16,
        **training: Any,
    ):
        super().__init__()
        image_shape, class_names = plain(image_shape), plain(class_names)
        check_description(image_shape, num_classes)
        check_known(training, AutoencoderSettings, type(self).__name__)
        settings = AutoencoderSettings(**training)
        training.update(asdict(settings))
        self.save_hyperparameters()
        self.autoencoders = Autoencoders(image_shape, num_classes, class_names, width)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Reconstructions of pictures (B, C, H, W) in [-1/2, 1/2] by each class's, or by all's."""
        return self.autoencoders.reconstruct(images, labels)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Mean squared error per pixel: of each class's autoencoder plus that of all's."""
        return self._loss("train", batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log the loss."""
        self._loss("val", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log the loss."""
        self._loss("test", batch, batch_idx)

    def on_predict_start(self) -> None:
        """Refuse `predict`: there is nothing that autoencoders say of an image."""
        raise ValueError(
            "Autoencoders predict nothing: give their checkpoint to `evaluate --autoencoders`."
        )

    def configure_optimizers(self) -> Any:
        """AdamW, which is Adam where there is no weight decay."""
        return adamw(self, self.hparams)

    def _loss(self, stage: Stage, batch: Any, batch_idx: int) -> Tensor:
        images, labels = images_and_labels(batch, batch_idx, self.autoencoders)
        v = as_float(images, next(self.parameters()).dtype) - 0.5
        loss = mse_loss(self(v, labels), v) + mse_loss(self(v), v)
        log_epoch(self, {f"{stage}/loss": loss.detach()}, len(labels), prog_bar=True)
        return loss
