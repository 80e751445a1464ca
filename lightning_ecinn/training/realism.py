"""Counterfactuals that others believe: other networks look at them while the flow is trained.

The counterfactual of an image is in closed form, and so is its gradient, that of the class means
included. So a critic, which tells counterfactuals from images, can teach the flow where they differ
(as in generative adversarial networks, Goodfellow et al., arXiv 1406.2661), and a witness, an
ordinary classifier, what it does not see in them (as in StarGAN, Choi et al., arXiv 1711.09020).
The paper's method has none of this.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parameters_to_vector

from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.ecinn.steps import (
    alpha_convincing,
    alpha_tipping,
    class_direction,
    truncated_direction,
)
from lightning_ecinn.flows.settings import part
from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.models.critic import Critic
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.training.balance import Balance
from lightning_ecinn.training.criticism import (
    PENALTY_EVERY,
    criticise,
    dithered,
    mean,
    other,
    partners,
    pick,
)
from lightning_ecinn.training.realism_settings import RealismSettings
from lightning_ecinn.training.shared import log_epoch
from lightning_ecinn.training.steps import count_steps_left
from lightning_ecinn.training.witness import Witness, running_statistics

__all__ = ["Realism", "RealismLoss"]

HEAD_START, RISE = 0.2, 0.1
"""Shares of its own time: in the first the critic learns and nobody listens to it yet; in the
second what it says, and the witness, gets its whole weight: at once it would shake the network."""

MEMORY = 800
"""Images of each class over which the class means go: of 100 they are mostly noise."""


class RealismLoss(NamedTuple):
    """Of a batch, scalars."""

    network: Tensor
    """What the network minimises: how little the critic takes counterfactuals for real, nats."""
    recognition: Tensor
    """And how little the witness sees the target, its cross-entropy in nats; 0 without one."""
    critic: Tensor
    """What the critic minimises."""
    distance: Tensor
    """Mean of abs(c - x) per pixel, grey range 1."""


class Realism(nn.Module):
    """Critic and witness beside a classifier in training, and the class means of that moment.

    Args:
        classifier: what is trained.
        settings: how.
    """

    class_means: Tensor
    seen: Tensor

    def __init__(self, classifier: GenerativeClassifier, settings: RealismSettings):
        super().__init__()
        num_classes = classifier.num_classes
        self.settings = settings
        self._steps, self._is_heard_at_once = math.inf, False
        self.critic = Critic(classifier.image_shape, num_classes, settings.critic_width)
        self.witness: Witness | None = None
        if settings.recognition:
            self.witness = Witness(classifier.image_shape, num_classes)
        self.balance = Balance()
        self.register_buffer("class_means", torch.zeros(num_classes, classifier.num_dims))
        self.register_buffer("seen", torch.zeros(num_classes, dtype=torch.long))

    def from_the_start(self) -> None:
        """Let the critic be there, and be listened to, from the first step on."""
        self.settings = replace(self.settings, realism_from=0.0)
        self._is_heard_at_once = True

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

    @property
    def _begins(self) -> float:
        """The step in which the critic begins."""
        return self.settings.realism_from * self._steps

    def attention(self, step: int) -> float:
        """How much of its weight what others say has in a step, from 0 to 1."""
        if self._is_heard_at_once:
            return 1.0
        since = (step - self._begins) / max(self._steps - self._begins, 1)
        return min(max((since - HEAD_START) / RISE, 0.0), 1.0)

    def freeze(self, module: Any) -> None:
        """From the step in which the critic begins, let batch norm keep what it knows.

        Otherwise its averages, which lag behind the network, would be part of what is taught.

        Args:
            module: the `IBINN`, attached to its trainer.
        """
        if module.global_step >= self._begins:
            for layer in module.classifier.flow.modules():
                if isinstance(layer, _BatchNorm):
                    layer.eval()

    def added_to(
        self, own: Tensor, module: Any, images: Tensor, labels: Tensor, z: Tensor
    ) -> Tensor:
        """The loss of a module's training step with what others add, a scalar; logs its parts.

        Args:
            own: the loss without them.
            module: the `IBINN`, attached to its trainer.
            images: of the batch, (B, C, H, W).
            labels: (B,).
            z: their latents in this step, (B, D).
        """
        step = module.global_step
        taught = 0 if self.witness is None else self.witness.teach(images, labels)
        if step < self._begins:  # DDP waits for each parameter
            return own + taught + parameters_to_vector(self.critic.parameters()).sum() * 0
        attention = self.attention(step)
        loss = self(
            module.classifier,
            images,
            labels,
            z.float(),
            PathSettings(**part(module.hparams, PathSettings)),
            count=max(round(self.settings.realism_share * len(images)), 1),
            listened=attention > 0,
            penalised=step % PENALTY_EVERY == 0,
        )
        names = ("train/realism", "train/recognition", "train/critic", "train/closeness")
        values = {name: value.detach() for name, value in zip(names, loss, strict=True)}
        if self.witness is None:
            del values["train/recognition"]
        opinions = self.settings.realism * loss.network
        opinions = opinions + self.settings.recognition * loss.recognition
        opinions = opinions + self.settings.closeness * loss.distance
        if attention:
            weights = [p for p in module.classifier.flow.parameters() if p.requires_grad]
            values["train/opinions"] = weight = self.balance(own, opinions, weights, step)
            opinions = attention * weight * opinions
        log_epoch(module, values, len(images))
        return own + opinions + loss.critic + taught

    def forward(
        self,
        classifier: GenerativeClassifier,
        images: Tensor,
        labels: Tensor,
        z: Tensor,
        path: PathSettings,
        *,
        count: int,
        listened: bool,
        penalised: bool,
    ) -> RealismLoss:
        r"""The losses of a batch; s_k(x) is the critic's score of x for class k.

        .. math::
            L_{critic} &= \zeta(s_q(c) - s_q(x_q)) + \tfrac12 \zeta(s_{y'}(x) - s_y(x)), \\
            L_{network} &= \zeta(s_q(x_q) - s_q(c)), \qquad \zeta(a) = \log(1 + e^a)

        c is the counterfactual of an image towards another class q, beside it an image x_q of that
        class (relativistic pairing: Jolicoeur-Martineau, arXiv 1807.00734; with both penalties as
        in R3GAN, Huang et al., 2501.05441), and y' a class other than the label y: what is no image
        of its class counts less, too (Reed et al., 1605.05396).

        Args:
            classifier: makes the counterfactuals, with running batch-norm statistics.
            images: (B, C, H, W).
            labels: (B,).
            z: latents of the batch, (B, D); class means follow them, and so do gradients.
            path: which way they go, and how far.
            count: of the first so many images there are counterfactuals.
            listened: whether the network's loss is to have a gradient.
            penalised: whether the critic's gradient is penalised in this step.
        """
        with torch.autocast(images.device.type, enabled=False):  # or no flow could be inverted
            with torch.set_grad_enabled(listened), running_statistics(classifier.flow):
                means = self._follow(classifier, z)
                made, target, distance = self._counterfactuals(
                    classifier, images[:count], means, path
                )
            pictures = as_float(images, made.dtype)
            partner, paired = partners(labels, target)
            real = dithered(pictures).requires_grad_(penalised)
            fake = dithered(made)
            critic, beside = criticise(
                self.critic,
                real,
                labels,
                fake.detach().requires_grad_(penalised),
                target,
                partner,
                paired,
            )
            score = pick(self.critic.fixed(fake), target)
            network = mean(F.softplus(beside - score), paired)
            recognition = made.new_zeros(())
            if self.witness is not None:
                recognition = self.witness.testify(made, target)
        return RealismLoss(network, recognition, critic, distance)

    def _counterfactuals(
        self,
        classifier: GenerativeClassifier,
        images: Tensor,
        means: Tensor,
        path: PathSettings,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, C, H, W) in [0, 1], their targets (B,), and the mean of abs(c - x)."""
        mu = classifier.mixture.component_means
        z, _ = classifier.flow(classifier.preprocessing(images), jac=False)
        source = classifier.mixture.scores(z.detach()).argmax(1)
        target = other(source, classifier.num_classes)
        direction = class_direction(means, source, target)
        direction = truncated_direction(direction, z, means[source], path.truncation)
        alpha_0 = alpha_tipping(z, direction, mu[source], mu[target])
        alpha = alpha_convincing(alpha_0, path.convincing_step).unsqueeze(1)
        made = classifier.decode(z + alpha * direction, clamp=False)
        distance = (made - as_float(images, made.dtype)).abs().mean()
        return made.clamp(0, 1), target, distance

    def _follow(self, classifier: GenerativeClassifier, z: Tensor) -> Tensor:
        """Class means (K, D): running averages of z (B, D) by predicted class.

        Their gradient is that of the batch's means. Without it the network would run away from
        means that follow it later, and be convincing only in this moment.
        """
        source = classifier.mixture.scores(z.detach()).argmax(1)
        counts = torch.bincount(source, minlength=len(self.seen))
        sums = torch.zeros_like(self.class_means).index_add(0, source, z)
        present, batch = counts > 0, sums / counts.clamp(min=1).unsqueeze(1)
        with torch.no_grad():
            self.seen += counts
            weight = counts / self.seen.clamp(1, MEMORY).maximum(counts)
            self.class_means.lerp_(batch, weight.unsqueeze(1).to(batch))
        return self.class_means + present.unsqueeze(1) * (batch - batch.detach())
