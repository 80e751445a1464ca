"""The IB-INN generative classifier as a LightningModule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from lightning_ecinn.ecinn import Counterfactual, Explainer
from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.ecinn.steps import NamedStep
from lightning_ecinn.flows import CouplingBlock, DownsamplingCoupling
from lightning_ecinn.flows.reversible import reversible
from lightning_ecinn.flows.settings import part
from lightning_ecinn.metrics import heatmap_mass, validity
from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.models.checkpoints import rename_earlier
from lightning_ecinn.models.classifier import ClassifierSettings
from lightning_ecinn.training.by_image import dequantised, other_classes
from lightning_ecinn.training.checks import (
    check_asked,
    check_beta,
    check_description,
    check_known,
    check_not_negative,
    check_share,
)
from lightning_ecinn.training.first_batch import (
    asked_targets,
    images_alone,
    images_and_labels,
    more_than_one_value,
)
from lightning_ecinn.training.found import refuse_null
from lightning_ecinn.training.losses import (
    IBLoss,
    bits_per_dim,
    bits_per_dim_paper,
    information_bottleneck_loss,
)
from lightning_ecinn.training.optimisers import OptimiserSettings, configure_ib_inn
from lightning_ecinn.training.plain import plain
from lightning_ecinn.training.realism import Realism
from lightning_ecinn.training.settings import FOR_TRAINING, IBINNSettings
from lightning_ecinn.training.shared import (
    DescribedModule,
    Stage,
    accuracy,
    changed_pixels,
    check_precision,
    log_epoch,
    seed_step,
)
from lightning_ecinn.training.start import start_from

__all__ = ["IBINN"]


class IBINN(DescribedModule):
    """Invertible generative classifier trained with the information-bottleneck loss.

    Batches are ``(images, labels, ...)``: images (B, C, H, W) uint8, or float in [0, 1]; labels
    (B,). The defaults are the ECINN paper's settings for MNIST.

    Args:
        image_shape: (C, H, W), square; the command line takes it from the data.
        num_classes: K; the command line takes it from the data.
        class_names: one name per class; the command line takes them from the data.
        init_from: start from the weights of this checkpoint of the same network: a file, or the
            name of one that ships beside the experiments.
        beta: trade-off of the loss: 0 is a density model, infinity a plain classifier.
        label_smoothing: share of each label spread over all classes.
        noise: sigma of the Gaussian noise added to training images, in units of the grey range.
        predict_target: the class that `predict` asks for; "all" for each class in turn.
        predict_alpha: the step that `predict` takes: "tipping", "convincing", "star" (the smallest
            that puts the target before every class), "certified" (the smallest whose picture
            reaches the confidence) or a number.
        channels_last: keep feature maps channel by channel last, which is faster on CPUs.
        compile: compile the blocks with `torch.compile` for training: a minute at the beginning,
            and steps no faster where it was measured (docs/speed.md). Checkpoints stay the same.
        reversible: compute activations again in the backward pass instead of keeping them:
            memory flat in depth, steps about half as long again. Checkpoints stay the same.
        **settings: of the network, see :class:`ClassifierSettings` and :class:`FlowSettings`; of
            the optimiser, :class:`OptimiserSettings`; of counterfactuals, :class:`PathSettings`;
            of critic and witness that teach it what others see, :class:`RealismSettings`.

    `IBINN.load_from_checkpoint` gives a module in training mode, as Lightning does, in which
    dropout and batch norm make other numbers: call ``eval()`` before using it, or explain with
    :class:`Explainer`, which does.

    Example:
        >>> data = MNIST(source="sample")
        >>> module = IBINN(data.image_shape, data.num_classes, blocks=[2, 2], optimizer="adamw")
        >>> module.hparams["beta"], module.hparams["widths"]
        (1.4265, [32, 64])
    """

    entry = "classifier"
    optimiser = OptimiserSettings
    trained_with = FOR_TRAINING

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        *,
        init_from: str | None = None,
        beta: float = 1.4265,
        label_smoothing: float = 0.01,
        noise: float = 0.01,
        predict_target: Literal["all"] | int = "all",
        predict_alpha: NamedStep | float = "convincing",
        channels_last: bool = True,
        compile: bool = False,
        reversible: bool = False,
        **settings: Any,
    ):
        super().__init__()
        image_shape, class_names = plain(image_shape), plain(class_names)
        check_description(image_shape, num_classes)
        rename_earlier(settings)
        check_known(settings, IBINNSettings, "IBINN")
        refuse_null(noise=noise, **settings)
        handed_on = IBINNSettings(**settings)
        settings.update(asdict(handed_on))
        # A checkpoint needs no other file to start from.
        self.save_hyperparameters(ignore=["init_from", "settings"])
        check_beta(beta)
        check_not_negative(noise=noise)
        check_share(label_smoothing=label_smoothing)
        check_asked(predict_target, predict_alpha, num_classes)
        if compile and reversible:  # compiled dropout could not be repeated
            raise ValueError(
                "compile and reversible are both true, which can't be combined: drop one."
            )
        network = part(handed_on, ClassifierSettings)
        self.classifier = GenerativeClassifier(image_shape, num_classes, class_names, **network)
        if init_from is not None:
            start_from(self.classifier, init_from)
        self.realism = Realism(self.classifier, handed_on) if handed_on.realism else None
        if channels_last:
            self.classifier.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Posterior p(y|x), (B, K)."""
        return self.classifier.posterior(images)

    @property
    def _settings(self) -> Any:
        """The constructor's arguments by name."""
        return self.hparams

    @property
    def explainer(self) -> Explainer:
        """Explains with the present weights; puts the classifier in evaluation mode."""
        return Explainer(self.classifier, **part(self._settings, PathSettings))

    def setup(self, stage: str) -> None:
        """Refuse precisions in which no flow can be inverted; compile, where that is asked for."""
        super().setup(stage)
        check_precision(self.trainer)
        if self._settings.compile and stage == "fit":
            self.compile_blocks()

    def compile_blocks(self) -> None:
        """Compile each coupling block by itself: equal ones share what is compiled."""
        for block in self.classifier.flow.module_list:
            if isinstance(block, CouplingBlock | DownsamplingCoupling):
                block.compile()

    # Training: the same images in the same noise, whatever happened before the step.

    def on_train_start(self) -> None:
        """Let the critic know how long the training is."""
        if self.realism is not None:
            self.realism.begin(self.trainer)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed noise and dropout by step, so that a resumed run repeats the original."""
        seed_step(self)
        if self.realism is not None:
            self.realism.freeze(self)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The IB loss of noisy images."""
        images, labels = images_and_labels(batch, batch_idx, self.classifier)
        v = self._memory_format(
            self.classifier.preprocessing(images, dequantize=True, noise=self._settings.noise)
        )
        with more_than_one_value():
            z, logits, loss = self._loss(v, labels)
        self._log_loss("train", loss, logits, labels)
        own, realism = loss.total.mean(), self.realism
        return own if realism is None else realism.added_to(own, self, images, labels, z)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log loss, accuracy and both kinds of bits per dimension."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log loss, accuracy, both kinds of bits per dimension, and how counterfactuals do."""
        self._evaluate("test", batch, batch_idx)
        if self.classifier.class_counts.all():
            self._evaluate_counterfactuals(batch)

    def on_test_start(self) -> None:
        """Say where counterfactuals are left out, and why."""
        if missing := self.classifier.classes_without_mean:
            rank_zero_warn(
                f"test/validity is left out without a mean of {', '.join(missing)}: `means` builds "
                "class means; a class that no training image is classified as has none."
            )

    def predict_step(self, batch: Any, batch_idx: int) -> Counterfactual:
        """Counterfactuals of a batch (B, T, ...); refused where they would be copies of images."""
        if not self.classifier.class_counts.any():
            raise ValueError(
                "This network has no class means, so there are no counterfactuals: build them with "
                "`means`."
            )
        images = images_alone(batch, batch_idx, self.classifier)
        targets = asked_targets(self._settings.predict_target, self.classifier.num_classes, images)
        return self.explainer.explain(
            images, targets, self._settings.predict_alpha, undefined="keep"
        )

    def configure_optimizers(self) -> Any:
        """Three parameter groups: network, component means, mixture weights; a critic's, if any."""
        return configure_ib_inn(self, self.classifier, self._settings, self.realism)

    def _loss(self, v: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, IBLoss]:
        """Latents (B, D), logits (B, K) and the loss per image of flow inputs v."""
        flow = self.classifier.flow
        z, log_det = reversible(flow, v) if self._settings.reversible else flow(v)
        logits = self.classifier.mixture.logits(z)
        loss = information_bottleneck_loss(
            logits,
            log_det,
            self.classifier.mixture.mixture_logits,
            labels,
            beta=self._settings.beta,
            num_dims=self.classifier.num_dims,
            label_smoothing=self._settings.label_smoothing,
        )
        return z, logits, loss

    def _evaluate(self, stage: Stage, batch: Any, batch_idx: int) -> None:
        """Loss, accuracy and bpd_paper without noise; the exact bpd on dequantised images.

        All in full precision, however the network is trained.
        """
        images, labels = images_and_labels(batch, batch_idx, self.classifier)
        with torch.autocast(self.device.type, enabled=False):
            v = self._memory_format(self.classifier.preprocessing(images))
            _, logits, loss = self._loss(v, labels)
            z, log_det = self.classifier.encode(dequantised(images))
            log_prob = self.classifier.mixture.log_prob(z) + log_det
        self._log_loss(stage, loss, logits, labels)
        bpd = bits_per_dim(log_prob, self.classifier.num_dims).mean()
        log_epoch(self, {f"{stage}/bpd": bpd}, len(images), prog_bar=stage == "val")
        distance = self.classifier.mixture.mean_distances().mean()
        log_epoch(self, {f"{stage}/mean_distance": distance}, len(images))

    def _evaluate_counterfactuals(self, batch: Any) -> None:
        """One random other class for each image, at alpha_1.

        Logged are the share that is classified as the target after rounding to 8 bits (validity)
        and, where the data says which pixels depend on the class, the share of the heatmap in them.
        """
        images, explainer, num_classes = batch[0], self.explainer, self.classifier.num_classes
        source = explainer.posterior(images).argmax(1)
        target = other_classes(images, source, num_classes)
        cf = explainer.explain(images, target, "convincing", undefined="keep")
        predicted = explainer.posterior(cf.image_8bit).argmax(1)
        values = {"test/validity": validity(predicted, target).float().mean()}
        mask = changed_pixels(self.trainer, batch, source, target)
        if mask is not None:
            values["test/heatmap_mass"] = heatmap_mass(cf.heatmap, mask).mean()
        log_epoch(self, values, len(images))

    def _log_loss(self, stage: Stage, loss: IBLoss, logits: Tensor, labels: Tensor) -> None:
        values = {
            f"{stage}/loss": loss.total.mean(),
            f"{stage}/l_x": loss.l_x.mean(),
            f"{stage}/l_y": loss.l_y.mean(),
            f"{stage}/bpd_paper": bits_per_dim_paper(loss.l_x.mean()),
        }
        values = {key: value.detach() for key, value in values.items()}
        log_epoch(self, values, len(labels))
        log_epoch(self, {f"{stage}/accuracy": accuracy(logits, labels)}, len(labels), prog_bar=True)

    def _memory_format(self, v: Tensor) -> Tensor:
        if not self._settings.channels_last:
            return v
        return v.contiguous(memory_format=torch.channels_last)
