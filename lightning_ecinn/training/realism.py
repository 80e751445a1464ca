"""Counterfactuals that others believe: a critic looks at them while the network is trained.

The counterfactual of an image is in closed form, and so is its gradient: a network that tells
counterfactuals from images can teach the flow where they differ, as in generative adversarial
networks (Goodfellow et al., arXiv 1406.2661). The paper's method has none of this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parameters_to_vector

from lightning_ecinn.ecinn.steps import alpha_convincing, alpha_tipping, class_direction
from lightning_ecinn.flows.settings import is_whole
from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.models.critic import Critic
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.training.checks import check_not_negative, check_positive, check_share
from lightning_ecinn.training.shared import log_epoch
from lightning_ecinn.training.steps import count_steps_left

__all__ = ["Realism", "RealismLoss", "RealismSettings"]

HEAD_START = 0.2
"""Share of its own time in which the critic learns and nobody listens to it yet."""

PENALTY, PENALTY_EVERY = 0.01, 16
"""Weight of the critic's squared gradient at images, and in which steps it is taken (R1 of
Mescheder et al., arXiv 1801.04406, "lazy" as in Karras et al., arXiv 1912.04958)."""

MEMORY = 50
"""Batches over which the class means of a training go."""

BATCH_NORM_MOMENTUM = 0.01
"""Counterfactuals are made with running statistics: those of a hundred batches, not of ten."""


@dataclass(frozen=True, kw_only=True)
class RealismSettings:
    """How counterfactuals are made to look real while training; the defaults, as in the paper, not.

    Args:
        realism: weight in the loss of what a critic, trained beside the network, says of
            counterfactuals at the convincing step; 0 for none.
        realism_from: share of the training after which the critic begins to learn.
        realism_share: share of each batch that counterfactuals are made of.
        closeness: weight in the loss of the counterfactuals' mean distance per pixel, L1, from
            their images; with `realism` only.
        critic_lr: the critic's learning rate (the highest one, with the one-cycle schedule).
        critic_width: its channels at full resolution.

    Raises:
        ValueError: for what can't be trained with.
    """

    realism: float = 0.0
    realism_from: float = 0.5
    realism_share: float = 0.5
    closeness: float = 0.0
    critic_lr: float = 0.001
    critic_width: int = 24

    def __post_init__(self) -> None:
        check_not_negative(realism=self.realism, closeness=self.closeness)
        check_share(realism_from=self.realism_from)
        check_positive(critic_lr=self.critic_lr, realism_share=self.realism_share)
        if self.realism_share > 1:
            raise ValueError(f"realism_share is {self.realism_share}; give a number up to 1.")
        if not is_whole(self.critic_width) or self.critic_width < 1:
            raise ValueError(f"critic_width is {self.critic_width!r}; give a whole number from 1.")
        if self.closeness and not self.realism:
            raise ValueError(
                f"closeness is {self.closeness}, but without realism no counterfactuals are made "
                "while training: set realism, too."
            )


class RealismLoss(NamedTuple):
    """Of a batch, scalars."""

    network: Tensor
    """What the network minimises: how little the critic takes counterfactuals for real, nats."""
    critic: Tensor
    """What the critic minimises."""
    distance: Tensor
    """Mean of abs(c - x) per pixel, grey range 1."""


class Realism(nn.Module):
    """The critic beside a classifier in training, and the class means of that moment.

    Args:
        classifier: what is trained; its batch norm averages over more batches from now on.
        settings: how.
    """

    class_means: Tensor
    batches: Tensor

    def __init__(self, classifier: GenerativeClassifier, settings: RealismSettings):
        super().__init__()
        num_classes = classifier.num_classes
        self.settings = settings
        self._steps, self._head_start = math.inf, HEAD_START
        for layer in classifier.flow.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = BATCH_NORM_MOMENTUM
        self.critic = Critic(classifier.image_shape, num_classes, settings.critic_width)
        self.register_buffer("class_means", torch.zeros(num_classes, classifier.num_dims))
        self.register_buffer("batches", torch.zeros(num_classes, dtype=torch.long))

    def from_the_start(self) -> None:
        """Let the critic be there, and be listened to, from the first step on."""
        self.settings, self._head_start = replace(self.settings, realism_from=0.0), 0.0

    def begin(self, trainer: pl.Trainer) -> None:
        """Note how many steps a training has.

        Raises:
            ValueError: nobody knows it.
        """
        self._steps = trainer.global_step + count_steps_left(trainer)
        if math.isinf(self._steps):
            raise ValueError(
                "realism_from is a share of the training, but nobody knows how many steps that "
                "has: give --trainer.max_epochs (with data of known length) or --trainer.max_steps."
            )

    def loss(self, module: Any, images: Tensor, labels: Tensor) -> Tensor:
        """What is added to the loss of a module's training step, a scalar; logs its parts.

        Args:
            module: the `IBINN`, attached to its trainer.
            images: of the batch, (B, C, H, W).
            labels: (B,).
        """
        begins, step = self.settings.realism_from * self._steps, module.global_step
        if step < begins:
            return parameters_to_vector(self.critic.parameters()).sum() * 0  # DDP waits for each
        loss = self(
            module.classifier,
            images,
            labels,
            module.hparams["convincing_step"],
            count=max(round(self.settings.realism_share * len(images)), 1),
            listened=step >= begins + self._head_start * (self._steps - begins),
            penalised=step % PENALTY_EVERY == 0,
        )
        names = "train/realism", "train/critic", "train/closeness"
        values = {name: value.detach() for name, value in zip(names, loss, strict=True)}
        log_epoch(module, values, len(images))
        network = self.settings.realism * loss.network + self.settings.closeness * loss.distance
        return network + loss.critic

    def forward(
        self,
        classifier: GenerativeClassifier,
        images: Tensor,
        labels: Tensor,
        convincing_step: tuple[float, float],
        *,
        count: int,
        listened: bool,
        penalised: bool,
    ) -> RealismLoss:
        r"""The losses of a batch; s_k(x) is the critic's score of x for class k.

        .. math::
            L_{critic} &= \zeta(-s_y(x)) + \tfrac12 \zeta(s_q(c)) + \tfrac12 \zeta(s_{y'}(x)), \\
            L_{network} &= \zeta(-s_q(c)), \qquad \zeta(a) = \log(1 + e^a)

        c is the counterfactual of an image towards another class q, and y' a class other than the
        label y: what is no image of its class counts as little as what is none at all
        (Reed et al., arXiv 1605.05396), so that a change that is not seen does not do.

        Args:
            classifier: makes the counterfactuals, with running batch-norm statistics.
            images: (B, C, H, W).
            labels: (B,).
            convincing_step: (offset, slope) of their step.
            count: of the first so many images there are counterfactuals.
            listened: whether the network's loss is to have a gradient.
            penalised: whether the critic's gradient is penalised in this step.
        """
        with torch.autocast(images.device.type, enabled=False):  # or no flow could be inverted
            with torch.set_grad_enabled(listened), _running_statistics(classifier):
                made, target, distance = self._counterfactuals(
                    classifier, images[:count], convincing_step
                )
            real = _dithered(as_float(images, made.dtype)).requires_grad_(penalised)
            fake = _dithered(made)
            scores = self.critic(real)
            own = _pick(scores, labels)
            others = _pick(scores, _other(labels, classifier.num_classes))
            critic = F.softplus(-own).mean() + F.softplus(others).mean() / 2
            critic = critic + F.softplus(_pick(self.critic(fake.detach()), target)).mean() / 2
            if penalised:
                (slope,) = torch.autograd.grad(own.sum(), real, create_graph=True)
                weight = PENALTY * PENALTY_EVERY / 2
                critic = critic + weight * slope.square().flatten(1).sum(1).mean()
            network = F.softplus(-_pick(self.critic.fixed(fake), target)).mean()
        return RealismLoss(network, critic, distance)

    def _counterfactuals(
        self, classifier: GenerativeClassifier, images: Tensor, step: tuple[float, float]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, C, H, W) in [0, 1], their targets (B,), and the mean of abs(c - x)."""
        mu = classifier.mixture.component_means
        z, _ = classifier.flow(classifier.preprocessing(images), jac=False)
        source = classifier.mixture.scores(z.detach()).argmax(1)
        self._follow(z.detach(), source)
        target = _other(source, classifier.num_classes)
        direction = class_direction(self.class_means, source, target)
        alpha_0 = alpha_tipping(z, direction, mu[source], mu[target])
        alpha = alpha_convincing(alpha_0, step).unsqueeze(1)
        made = classifier.decode(z + alpha * direction, clamp=False)
        distance = (made - as_float(images, made.dtype)).abs().mean()
        return made.clamp(0, 1), target, distance

    @torch.no_grad()
    def _follow(self, z: Tensor, source: Tensor) -> None:
        """Class means as running averages of latents z (B, D) classified as source (B,)."""
        counts = torch.bincount(source, minlength=len(self.batches))
        sums = torch.zeros_like(self.class_means).index_add_(0, source, z)
        present = counts > 0
        self.batches += present
        weight = (present / self.batches.clamp(1, MEMORY)).unsqueeze(1)
        self.class_means.lerp_(sums / counts.clamp(min=1).unsqueeze(1), weight.to(sums))


@contextmanager
def _running_statistics(classifier: GenerativeClassifier) -> Iterator[None]:
    """The classifier without dropout, and with running batch-norm statistics."""
    kinds = _BatchNorm | nn.Dropout | nn.Dropout2d
    layers = [m for m in classifier.flow.modules() if isinstance(m, kinds)]
    modes = [layer.training for layer in layers]
    for layer in layers:
        layer.training = False
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.training = mode


def _dithered(pictures: Tensor) -> Tensor:
    """Pictures with uniform noise of one grey level: rounding to 8 bits is no give-away."""
    return pictures + (torch.rand_like(pictures) - 0.5) / 255


def _other(classes: Tensor, num_classes: int) -> Tensor:
    """One class other than `classes` (B,) each, drawn uniformly."""
    return (classes + 1 + torch.randint_like(classes, num_classes - 1)) % num_classes


def _pick(scores: Tensor, classes: Tensor) -> Tensor:
    """Scores (B,) of classes (B,) among those of all, (B, K)."""
    return scores.gather(1, classes.unsqueeze(1)).squeeze(1)
