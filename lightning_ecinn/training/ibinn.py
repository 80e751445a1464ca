"""The IB-INN generative classifier as a LightningModule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from lightning_ecinn import shipped
from lightning_ecinn.ecinn.counterfactuals import PAPER_STEP, Counterfactual, Step, check_path
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.flows import CouplingBlock, DownsamplingCoupling
from lightning_ecinn.flows.reversible import reversible
from lightning_ecinn.metrics import heatmap_mass
from lightning_ecinn.models.checkpoints import load_classifier
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.training.losses import (
    IBLoss,
    bits_per_dim,
    bits_per_dim_paper,
    information_bottleneck_loss,
)
from lightning_ecinn.training.shared import (
    Stage,
    check_description,
    check_precision,
    check_same_images,
    one_cycle,
    seed_step,
)

__all__ = ["IBINN"]


class IBINN(pl.LightningModule):
    """Invertible generative classifier trained with the information-bottleneck loss.

    Batches are ``(images, labels, ...)``: images (B, C, H, W) uint8, or float in [0, 1]; labels
    (B,). The defaults are the ECINN paper's settings for MNIST.

    Args:
        image_shape: (C, H, W), square; the command line takes it from the data.
        num_classes: K; the command line takes it from the data.
        class_names: one name per class; the command line takes them from the data.
        blocks: coupling blocks in each stage.
        widths: hidden channels of the subnets in each stage.
        dropouts: dropout of the subnets in each stage.
        fc_blocks: fully connected coupling blocks at the end.
        fc_width: their hidden width.
        fc_dropout: their dropout.
        clamp: bound of the log scale in every convolutional coupling.
        init_scale: scale of every coupling block before training.
        haar: begin with a Haar transform; by default only for pictures of one channel.
        haar_gain: factor of its detail coefficients, 1 in the paper; a larger one lets smooth
            pictures be learned faster.
        dct: end with DCT pooling, as in the paper; without it each latent stays at its place in
            the picture, so that `class_means.significance` can tell which matter.
        zero_init: begin with couplings that change nothing (Glow's), not with random ones: less
            of the picture depends on what it should not.
        mean: m of the preprocessing, per channel; by default 0.5, or IB-INN's for colour.
        std: s of the preprocessing, per channel; by default 0.5, or IB-INN's for colour.
        init_from: start from the weights of this checkpoint of the same network: a file, or the
            name of one that ships beside the experiments.
        beta: trade-off of the loss: 0 is a density model, infinity a plain classifier.
        label_smoothing: share of each label spread over all classes.
        noise: sigma of the Gaussian noise added to training images, in units of the grey range.
        optimizer: "sgd", "adam" or "adamw".
        lr: learning rate (the highest one, with the one-cycle schedule).
        momentum: SGD's momentum.
        betas: Adam's betas.
        weight_decay: of the network's weights.
        means_lr_factor: the component means learn this many times faster.
        means_momentum: SGD's momentum for the component means.
        mixture_momentum: SGD's momentum for the mixture weights.
        schedule: "multistep" multiplies the learning rate by gamma at each milestone;
            "onecycle" warms up and anneals to zero over the whole training, step by step.
        milestones: epochs, for "multistep".
        gamma: factor, for "multistep".
        warmup: share of the training spent warming up, for "onecycle".
        step: (offset, slope) of the convincing step alpha_1 = offset + slope alpha_0.
        truncation: psi from 0 to 1: how much of an image's distance from its class mean
            counterfactuals keep; 1 is the paper's, all of it.
        confidence: the posterior of the target that the certified step reaches.
        predict_target: the class that `predict` asks for; "all" for each class in turn.
        predict_alpha: the step that `predict` takes: "tipping", "convincing", "star" (the smallest
            that puts the target before every class), "certified" (the smallest whose picture
            reaches the confidence) or a number.
        channels_last: keep feature maps channel by channel last, which is faster on CPUs.
        compile: compile the blocks with `torch.compile` for training: minutes at the beginning,
            then faster steps on GPUs, not on CPUs. Checkpoints stay the same.
        reversible: compute activations again in the backward pass instead of keeping them:
            memory flat in depth, steps about half as long again. Checkpoints stay the same.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        blocks: list[int] = [24, 24],  # noqa: B006 (never changed; shown by --help)
        widths: list[int] = [32, 64],  # noqa: B006
        dropouts: list[float] = [0.0, 0.25],  # noqa: B006
        fc_blocks: int = 1,
        fc_width: int = 1024,
        fc_dropout: float = 0.5,
        clamp: float = 0.7,
        init_scale: float = 0.8,
        haar: bool | None = None,
        haar_gain: float = 1.0,
        dct: bool = True,
        zero_init: bool = False,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        init_from: str | None = None,
        beta: float = 1.4265,
        label_smoothing: float = 0.01,
        noise: float = 0.01,
        optimizer: Literal["sgd", "adam", "adamw"] = "sgd",
        lr: float = 0.07,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.95, 0.99),
        weight_decay: float = 1e-4,
        means_lr_factor: float = 3.0,
        means_momentum: float = 0.0,
        mixture_momentum: float = 0.8,
        schedule: Literal["multistep", "onecycle"] = "multistep",
        milestones: list[int] = [50],  # noqa: B006
        gamma: float = 0.1,
        warmup: float = 0.2,
        step: tuple[float, float] = PAPER_STEP,
        truncation: float = 1.0,
        confidence: float = 0.9,
        predict_target: Literal["all"] | int = "all",
        predict_alpha: Step | float = "convincing",
        channels_last: bool = True,
        compile: bool = False,
        reversible: bool = False,
    ):
        super().__init__()
        check_description(image_shape, num_classes)
        self.save_hyperparameters(ignore=["init_from"])  # a checkpoint needs no other file
        _check_settings(self._settings)
        self.classifier = GenerativeClassifier(
            image_shape,
            num_classes,
            class_names,
            blocks=blocks,
            widths=widths,
            dropouts=dropouts,
            fc_blocks=fc_blocks,
            fc_width=fc_width,
            fc_dropout=fc_dropout,
            clamp=clamp,
            init_scale=init_scale,
            haar=haar,
            haar_gain=haar_gain,
            dct=dct,
            zero_init=zero_init,
            mean=mean,
            std=std,
        )
        if init_from is not None:
            self._start_from(init_from)
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
        settings = self._settings
        return Explainer(
            self.classifier,
            step=tuple(settings.step),
            truncation=settings.truncation,
            confidence=settings.confidence,
        )

    def setup(self, stage: str) -> None:
        """Refuse precisions in which no flow can be inverted; compile, where that is asked for."""
        check_precision(self.trainer)
        if self._settings.compile and stage == "fit":
            self.compile_blocks()

    def compile_blocks(self) -> None:
        """Compile each coupling block by itself: equal ones share what is compiled."""
        for block in self.classifier.flow.module_list:
            if isinstance(block, CouplingBlock | DownsamplingCoupling):
                block.compile()

    # Training: the same images in the same noise, whatever happened before the step.

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed noise and dropout by step, so that a resumed run repeats the original."""
        seed_step(self, "train", self.global_step)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The IB loss of noisy images."""
        images, labels, *_ = batch
        v = self._memory_format(
            self.classifier.preprocessing(images, dequantize=True, noise=self._settings.noise)
        )
        logits, loss = self._loss(v, labels)
        self._log_loss("train", loss, logits, labels)
        return loss.total.mean()

    def on_validation_batch_start(
        self, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Seed the dequantisation, so that epochs are comparable."""
        seed_step(self, "val", batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log loss, accuracy and both kinds of bits per dimension."""
        self._evaluate("val", batch)

    def on_test_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Seed the dequantisation, so that results can be repeated."""
        seed_step(self, "test", batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log loss, accuracy, both kinds of bits per dimension, and how counterfactuals do."""
        self._evaluate("test", batch)
        if self.classifier.class_counts.all():
            self._evaluate_counterfactuals(batch)

    def on_predict_start(self) -> None:
        """Refuse a target that is no class before anything is computed."""
        target = self._settings.predict_target
        if target != "all" and not 0 <= target < self.classifier.num_classes:
            raise ValueError(
                f"predict_target must be a class from 0 to {self.classifier.num_classes - 1} or "
                f'"all", got {target}.'
            )

    def predict_step(self, batch: Any, batch_idx: int) -> Counterfactual:
        """Counterfactuals of a batch, every target in a second dimension (B, T, ...)."""
        images, *_ = batch
        target = self._settings.predict_target
        classes = range(self.classifier.num_classes) if target == "all" else [target]
        targets = torch.tensor(list(classes), device=self.device).expand(len(images), -1)
        return self.explainer.explain(
            images, targets, self._settings.predict_alpha, undefined="keep"
        )

    def configure_optimizers(self) -> Any:
        """Three parameter groups: network, component means, mixture weights."""
        optimizer = self._optimizer()
        if self._settings.schedule == "multistep":
            scheduler = torch.optim.lr_scheduler.MultiStepLR(
                optimizer, milestones=self._settings.milestones, gamma=self._settings.gamma
            )
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler}}
        return one_cycle(self, optimizer, self._settings.warmup)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what builds the classifier again, so that `Explainer` needs nothing else."""
        checkpoint["classifier"] = self.classifier.config

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of a network for other images or classes."""
        if "classifier" in checkpoint:
            check_same_images(checkpoint["classifier"], self.classifier.config)

    def _optimizer(self) -> torch.optim.Optimizer:
        h, mixture = self._settings, self.classifier.mixture
        groups: list[dict[str, Any]] = [
            {"params": list(self.classifier.flow.parameters()), "weight_decay": h.weight_decay},
            {"params": [mixture.component_means], "lr": h.lr * h.means_lr_factor},
            {"params": [mixture.mixture_logits]},
        ]
        groups[0]["params"] = [p for p in groups[0]["params"] if p.requires_grad]
        # One pass over hundreds of small tensors; these two kinds of device have it.
        options = {"lr": h.lr, "weight_decay": 0.0, "fused": self.device.type in ("cpu", "cuda")}
        if h.optimizer == "sgd":
            groups[1]["momentum"] = h.means_momentum
            groups[2]["momentum"] = h.mixture_momentum
            optimizer: torch.optim.Optimizer = torch.optim.SGD(
                groups, momentum=h.momentum, **options
            )
        else:
            adam = torch.optim.Adam if h.optimizer == "adam" else torch.optim.AdamW
            optimizer = adam(groups, betas=tuple(h.betas), **options)
        # With 16-bit precision Lightning is to unscale the gradients, before it clips them.
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        return optimizer

    def _loss(self, v: Tensor, labels: Tensor) -> tuple[Tensor, IBLoss]:
        """Logits (B, K) and the loss per image of flow inputs v."""
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
        return logits, loss

    def _evaluate(self, stage: Stage, batch: Any) -> None:
        """Loss, accuracy and bpd_paper without noise; the exact bpd on dequantised images.

        All in full precision, however the network is trained.
        """
        images, labels, *_ = batch
        with torch.autocast(self.device.type, enabled=False):
            v = self._memory_format(self.classifier.preprocessing(images))
            logits, loss = self._loss(v, labels)
            log_prob = self.classifier.log_prob(images, dequantize=True)
        self._log_loss(stage, loss, logits, labels)
        bpd = bits_per_dim(log_prob, self.classifier.num_dims).mean()
        self._log({f"{stage}/bpd": bpd}, len(images), prog_bar=stage == "val")
        distance = self.classifier.mixture.mean_distances().mean()
        self._log({f"{stage}/mean_distance": distance}, len(images))

    def _evaluate_counterfactuals(self, batch: Any) -> None:
        """One random other class for each image, at alpha_1.

        Logged are the share that is classified as the target after rounding to 8 bits (validity)
        and, where the data says which pixels depend on the class, the share of the heatmap in them.
        """
        images, explainer, num_classes = batch[0], self.explainer, self.classifier.num_classes
        source = explainer.posterior(images).argmax(1)
        target = (source + torch.randint_like(source, 1, num_classes)) % num_classes
        cf = explainer.explain(images, target, "convincing", undefined="keep")
        hit = explainer.posterior(cf.image_8bit).argmax(1) == target
        values = {"test/validity": hit.float().mean()}
        mask = self._changed_pixels(batch, source, target)
        if mask is not None:
            values["test/heatmap_mass"] = heatmap_mass(cf.heatmap, mask).mean()
        self._log(values, len(images))

    def _changed_pixels(self, batch: Any, source: Tensor, target: Tensor) -> Tensor | None:
        """What the data know of the pixels that tell two classes apart, (B, C, H, W)."""
        datamodule = getattr(self.trainer, "datamodule", None)
        ask = getattr(datamodule, "changed_pixels", None)
        if ask is None or len(batch) < 3:  # no such method, or no indices to ask about
            return None
        return ask("test", batch[2], source, target)

    def _log_loss(self, stage: Stage, loss: IBLoss, logits: Tensor, labels: Tensor) -> None:
        values = {
            f"{stage}/loss": loss.total.mean(),
            f"{stage}/l_x": loss.l_x.mean(),
            f"{stage}/l_y": loss.l_y.mean(),
            f"{stage}/bpd_paper": bits_per_dim_paper(loss.l_x.mean()),
        }
        values = {key: value.detach() for key, value in values.items()}
        self._log(values, len(labels))
        share = (logits.argmax(1) == labels).float().mean()
        self._log({f"{stage}/accuracy": share}, len(labels), prog_bar=True)

    def _log(self, values: dict[str, Tensor], batch_size: int, prog_bar: bool = False) -> None:
        self.log_dict(
            values,
            batch_size=batch_size,
            prog_bar=prog_bar,
            on_step=False,
            on_epoch=True,
            sync_dist=True,
        )

    def _memory_format(self, v: Tensor) -> Tensor:
        if not self._settings.channels_last:
            return v
        return v.contiguous(memory_format=torch.channels_last)

    def _start_from(self, name: str) -> None:
        path = shipped.find(name)
        if path is None:
            raise FileNotFoundError(
                f"init_from {name}: there is no such file in {Path.cwd()}, and none of that name "
                f"in {shipped.FOLDER}; give the path of a checkpoint."
            )
        source = load_classifier(path)
        ours, theirs = self.classifier.config, source.config
        different = [key for key in ours if ours[key] != theirs[key] and key != "class_names"]
        if different:
            details = ", ".join(f"{key} {theirs[key]} (here {ours[key]})" for key in different)
            raise ValueError(
                f"init_from: the network in {path} is another one: {details}. Set the same values."
            )
        self.classifier.load_state_dict(source.state_dict())
        rank_zero_info(f"The network starts from the weights in {path}")


def _check_settings(h: Any) -> None:
    """Refuse what can't be trained or explained with before anything is built."""
    check_path(h.truncation, h.confidence)
    at_least_zero = ("beta", "noise", "weight_decay", "means_lr_factor", "momentum")
    wrong = [key for key in at_least_zero if not h[key] >= 0]
    wrong += [] if h.lr > 0 else ["lr"]
    if wrong:
        raise ValueError(f"{wrong[0]} is {h[wrong[0]]}; give a number that is not negative.")
    for key, end in (("label_smoothing", 1), ("warmup", 1)):
        if not 0 <= h[key] < end:
            raise ValueError(f"{key} is {h[key]}; give a number from 0 to less than {end}.")
    if h.compile and h.reversible:  # compiled dropout could not be repeated
        raise ValueError("compile and reversible are both true, which can't be combined: drop one.")
