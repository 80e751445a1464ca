"""Making counterfactuals: encode once, step, decode what moved, search where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from lightning_ecinn.ecinn.certificates import Certificate
from lightning_ecinn.ecinn.certify import certify
from lightning_ecinn.ecinn.checks import finite
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.inference import Inference, Session
from lightning_ecinn.ecinn.paths import Paths, is_named, puts_target_first
from lightning_ecinn.ecinn.search import certified_step
from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.ecinn.steps import Alpha
from lightning_ecinn.ecinn.undefined import refuse_undefined, refuse_unreachable
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.inputs import as_float

__all__ = ["make_counterfactuals"]

# Warnings point at who called `Explainer.explain`: past this module, `explain_steps` and the
# decorator that switches gradients off.
_STACKLEVEL = 6


def make_counterfactuals(
    inference: Inference,
    settings: PathSettings,
    images: Tensor,
    target: Tensor,
    alphas: Sequence[Alpha],
    undefined: Literal["raise", "keep"],
) -> list[Counterfactual]:
    """Counterfactuals of B images towards T targets each, (B, T, ...), for every step.

    Args:
        inference: the classifier at work.
        settings: which way to go, and how far.
        images: (B, C, H, W), checked.
        target: (B, T), checked.
        alphas: the steps.
        undefined: whether to refuse pairs without a step or to keep their images.
    """
    session = inference.session()
    # A copy: what the caller does to the images later changes no counterfactual.
    inputs, z = as_float(images, inference.dtype).clone(), session.latents(images)
    inference.check_precision(session, inputs, z, stacklevel=_STACKLEVEL)
    paths = Paths.towards(inference.classifier, z, target, settings.truncation)
    steps, defined = _steps(inference.classifier, settings, paths, alphas, undefined)
    count = target.shape[1]
    inputs = inputs.unsqueeze(1).expand(-1, count, -1, -1, -1)
    before = finite(inference.classifier.mixture.log_posterior(z).exp(), "posteriors")
    made = _made(session, settings.confidence, paths, inputs, alphas, steps, defined)
    return [
        Counterfactual(
            input=inputs,
            source=paths.source,
            target=target,
            input_posterior=before.unsqueeze(1).expand(-1, count, -1),
            class_names=inference.classifier.class_names,
            **{name: values[k] for name, values in made.items()},
            _certify=_certifying(inference, session.state, settings, alpha),
        )
        for k, alpha in enumerate(alphas)
    ]


def _steps(
    classifier: GenerativeClassifier,
    settings: PathSettings,
    paths: Paths,
    alphas: Sequence[Alpha],
    undefined: Literal["raise", "keep"],
) -> tuple[Tensor, Tensor]:
    """Step lengths and whether there are such steps, (S, B, T); refused where they are not."""
    if undefined == "raise":
        refuse_undefined(classifier, paths)
    steps, defined = paths.lengths(alphas, settings.convincing_step)
    if undefined == "raise":
        for exists in defined:
            refuse_unreachable(classifier, paths, exists)
    return steps, defined


def _certifying(
    inference: Inference, state: object, settings: PathSettings, alpha: Alpha
) -> Callable[[Counterfactual], Certificate]:
    """Makes the certificate of counterfactuals at this step, when it is asked for."""
    confidence = settings.confidence if is_named(alpha, "certified") else None
    return partial(certify, inference, state, puts_target_first(alpha), confidence)


def _made(
    session: Session,
    confidence: float,
    paths: Paths,
    inputs: Tensor,
    alphas: Sequence[Alpha],
    steps: Tensor,
    defined: Tensor,
) -> dict[str, Tensor]:
    """What becomes of steps (S, B, T) along the paths, (S, B, T, ...)."""
    latents, moved = paths.at(steps), steps != 0
    searched = [k for k, alpha in enumerate(alphas) if is_named(alpha, "certified")]
    for k in searched:
        moved[k] = False
    pictures, inverse = _decoded(session, latents, inputs, moved), moved.long()
    forward = torch.ones_like(inverse)
    for k in searched:
        asked = defined[k] & ~paths.same
        if asked.any():
            found = certified_step(session, *paths.only(asked), steps[k, asked], confidence)
            steps[k, asked], pictures[k, asked], inverse[k, asked] = found
            forward[k] += inverse[k]
            latents[k] = paths.at(steps[k])
    log_posteriors = session.network.mixture.log_posterior(latents.flatten(0, 2))
    return {
        "image": pictures,
        "alpha": steps,
        "posterior": finite(log_posteriors.exp(), "posteriors").unflatten(0, steps.shape),
        "latent": latents,
        "defined": defined,
        "forward_evaluations": forward,
        "inverse_evaluations": inverse,
    }


def _decoded(session: Session, latents: Tensor, inputs: Tensor, moved: Tensor) -> Tensor:
    """Pictures (S, B, T, C, H, W) of the latents that moved; the others are their inputs."""
    if moved.all():
        return session.decode(latents.flatten(0, 2)).unflatten(0, moved.shape)
    pictures = inputs.expand(len(moved), *inputs.shape).clone()
    if moved.any():
        pictures[moved] = session.decode(latents[moved])
    return pictures
