"""Paths: the way from an image's latent towards a class, and how far to go on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_ecinn.ecinn.steps import (
    Alpha,
    alpha_convincing,
    alpha_star,
    alpha_tipping,
    class_direction,
    leads_to_target,
    truncated_direction,
)
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.inputs import as_numbers, shown

__all__ = ["Paths", "given_steps", "is_named", "puts_target_first"]


@dataclass(frozen=True)
class Paths:
    """Paths from the latents of B images towards T targets each.

    Attributes:
        z: (B, 1, D), where they begin.
        source: (B, T), p: the class each image is classified as.
        target: (B, T), q.
        direction: (B, T, D), Delta.
        same: (B, T), whether p is q.
        defined: (B, T), whether there is a step from p to q, or none is needed.
        component_means: (K, D), of the mixture.
    """

    z: Tensor
    source: Tensor
    target: Tensor
    direction: Tensor
    same: Tensor
    defined: Tensor
    component_means: Tensor

    @classmethod
    def towards(
        cls, classifier: GenerativeClassifier, z: Tensor, target: Tensor, truncation: float
    ) -> Paths:
        """The paths of latents z (B, D) towards targets (B, T)."""
        mu, means = classifier.mixture.component_means, classifier.class_means
        source = classifier.mixture.log_posterior(z).argmax(1, keepdim=True).expand_as(target)
        z = z.unsqueeze(1)
        direction = class_direction(means, source, target)
        direction = truncated_direction(direction, z, means[source], truncation)
        # As `explainable_pairs`, for these pairs only.
        counts, same = classifier.class_counts, source == target
        leads = leads_to_target(mu[source], mu[target], direction)
        has_step = (counts[source] > 0) & (counts[target] > 0) & leads
        return cls(z, source, target, direction, same, same | has_step, mu)

    def at(self, alpha: Tensor) -> Tensor:
        """Latents z + alpha Delta (..., B, T, D) of step lengths (..., B, T)."""
        return torch.addcmul(self.z, alpha.unsqueeze(-1), self.direction)

    def only(self, asked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (N, D), directions (N, D) and targets (N,) where ``asked``, bool (B, T)."""
        return self.z.expand_as(self.direction)[asked], self.direction[asked], self.target[asked]

    def lengths(
        self, alphas: Sequence[Alpha], convincing_step: tuple[float, float]
    ) -> tuple[Tensor, Tensor]:
        """The step lengths that are meant, and whether there are such steps, both (S, B, T).

        A certified step begins at alpha_star. Where there is no step, or none is needed, it is 0.

        Raises:
            ValueError: one of the alphas is no step.
        """
        mu = self.component_means
        alpha_0 = alpha_tipping(self.z, self.direction, mu[self.source], mu[self.target])
        steps, exist = [], []
        for alpha in alphas:
            exists = self.defined
            if puts_target_first(alpha):
                step, reached = alpha_star(self.z, self.direction, mu, self.target)
                exists = self.same | (exists & reached)
            elif isinstance(alpha, str):
                step = _named(alpha, alpha_0, convincing_step)
            else:
                step = given_steps(alpha, alpha_0)
            steps.append(step.masked_fill(self.same | ~exists, 0))
            exist.append(exists)
        return torch.stack(steps), torch.stack(exist)


def is_named(alpha: Alpha, *names: str) -> bool:
    """Whether a step is asked for by one of these names."""
    return isinstance(alpha, str) and alpha in names


def puts_target_first(alpha: Alpha) -> bool:
    """Whether a step is one that makes the target the likeliest class of all."""
    return is_named(alpha, "star", "certified")


def _named(name: str, alpha_0: Tensor, convincing_step: tuple[float, float]) -> Tensor:
    if name == "tipping":
        return alpha_0
    if name == "convincing":
        return alpha_convincing(alpha_0, convincing_step)
    raise ValueError(
        f'alpha must be "tipping", "convincing", "star", "certified" or a number, got "{name}".'
    )


def given_steps(alpha: Alpha, alpha_0: Tensor) -> Tensor:
    """Step lengths (B, T) of one's own, like the tipping points (B, T)."""
    given = as_numbers(alpha)
    if given is None or given.is_complex():
        raise ValueError(
            f"alpha must be the name of a step, a number or a tensor, got {shown(alpha)}."
        )
    step = given.to(alpha_0)
    if not step.isfinite().all():
        raise ValueError(f"alpha must be finite, got {shown(alpha)}.")
    if step.ndim == 1 and alpha_0.shape[1] == 1:
        step = step.unsqueeze(1)
    if step.ndim and step.shape != alpha_0.shape:
        raise ValueError(
            f"alpha must be one number or shaped like the targets {tuple(alpha_0.shape)}, got "
            f"shape {tuple(step.shape)}."
        )
    return step.expand_as(alpha_0).clone()
