"""Making certificates: counterfactuals in 8 bits, through the classifier once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.ecinn.certificates import (
    Certificate,
    in_rows,
    log_prob_quantile,
    what_fails,
)
from lightning_ecinn.ecinn.checks import finite
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.inference import Inference, Session
from lightning_ecinn.metrics.classification import difference
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.inputs import checked_images

__all__ = ["certificate_of", "certify", "likelihood_of_pictures", "of_inputs"]


@torch.no_grad()
def certify(
    inference: Inference,
    state: object,
    before_every_class: bool,
    confidence: float | None,
    cf: Counterfactual,
) -> Certificate:
    """The certificate of counterfactuals.

    Args:
        inference: the classifier at work.
        state: its state when they were made.
        before_every_class: whether the step was to put q before every class.
        confidence: the posterior of q that was asked for, if any was.
        cf: the counterfactuals.

    Raises:
        ValueError: the classifier has changed since.
    """
    session = inference.session()
    if session.state != state:
        raise ValueError(
            "The classifier has changed since this counterfactual was made, so its "
            "certificate can't be computed any more: explain again."
        )
    measured = of_inputs(session, cf) | _of_pictures(session, cf)
    names = session.network.class_names
    return certificate_of(names, cf, measured, before_every_class, confidence)


def certificate_of(
    class_names: Sequence[str],
    cf: Counterfactual,
    measured: dict[str, Any],
    before_every_class: bool,
    confidence: float | None,
) -> Certificate:
    """A certificate of what was measured, with what fails.

    Args:
        class_names: one name per class.
        cf: the counterfactuals.
        measured: the certificate's values by name.
        before_every_class: whether the step was to put q before every class.
        confidence: the posterior of q that was asked for, if any was.
    """
    reasons = _reasons(class_names, cf, measured, before_every_class, confidence)
    holds = torch.tensor([not reason for reason in reasons], device=cf.target.device)
    return Certificate(
        **measured,
        forward_evaluations=cf.forward_evaluations,
        inverse_evaluations=cf.inverse_evaluations,
        holds=holds.view_as(cf.target),
        reason=in_rows(reasons, cf.target.shape),
    )


def of_inputs(session: Session, cf: Counterfactual) -> dict[str, Any]:
    """What the certificate says of the images, each of which is encoded once for all targets."""
    images, shape = cf.input[:, 0] if cf.target.ndim == 2 else cf.input, cf.target.shape
    z, log_det = _encoded(session, images)
    off = (session.decode(z, clamp=False) - images).abs().flatten(1).amax(1)
    log_prob = finite(session.network.mixture.log_prob(z) + log_det, "log-likelihoods")
    error, before = (v.view(-1, *[1] * (len(shape) - 1)).expand(shape) for v in (off, log_prob))
    return {
        "precision": str(z.dtype).removeprefix("torch."),
        "reconstruction_error": error,
        "log_prob_before": before,
        "quantile_before": _quantile(session.network, before),
    }


def likelihood_of_pictures(session: Session, cf: Counterfactual) -> tuple[dict[str, Any], Tensor]:
    """How likely a flow finds the counterfactuals in 8 bits, and their latents (N, D)."""
    shape = cf.target.shape
    z, log_det = _encoded(session, cf.image_8bit.flatten(0, len(shape) - 1))
    after = finite(session.network.mixture.log_prob(z) + log_det, "log-likelihoods").view(shape)
    return {"log_prob_after": after, "quantile_after": _quantile(session.network, after)}, z


def _of_pictures(session: Session, cf: Counterfactual) -> dict[str, Any]:
    """What the certificate says of the counterfactuals, as a person sees them."""
    likelihood, z = likelihood_of_pictures(session, cf)
    log_posterior = finite(session.network.mixture.log_posterior(z), "posteriors")
    log_posterior = log_posterior.view(*cf.target.shape, -1)
    predicted = log_posterior.argmax(-1)
    return {
        "predicted": predicted,
        "posterior": log_posterior.exp(),
        "tipping_gap": difference(log_posterior, cf.target, cf.source).abs(),
        "third_class": (predicted != cf.source) & (predicted != cf.target),
        **likelihood,
    }


def _encoded(session: Session, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Latents and log-determinants, unless the pictures are not in [0, 1], or NaN."""
    network = session.network
    return session.encode(checked_images(pictures, network.image_shape, network.class_means))


def _reasons(
    class_names: Sequence[str],
    cf: Counterfactual,
    measured: dict[str, Any],
    before_every_class: bool,
    confidence: float | None,
) -> list[str]:
    """Why each is not what was asked for, one after the other."""
    return what_fails(
        source=cf.source.flatten(),
        target=cf.target.flatten(),
        defined=cf.defined.flatten(),
        predicted=measured["predicted"].flatten(),
        posterior=measured["posterior"].flatten(0, -2),
        error=measured["reconstruction_error"].flatten(),
        class_names=class_names,
        precision=measured["precision"],
        before_every_class=before_every_class,
        confidence=confidence,
    )


def _quantile(classifier: GenerativeClassifier, log_prob: Tensor) -> Tensor | None:
    """Rank among the training images, where the checkpoint has their likelihoods."""
    if not classifier.has_log_prob_quantiles:
        return None
    return log_prob_quantile(log_prob, classifier.log_prob_quantiles)
