"""Certificates that speak of the classifier that was explained."""

from __future__ import annotations

import torch

from lightning_ecinn.blackbox.black_box import BlackBox
from lightning_ecinn.ecinn.certificates import Certificate
from lightning_ecinn.ecinn.certify import certificate_of, likelihood_of_pictures, of_inputs
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.paths import is_named, puts_target_first
from lightning_ecinn.ecinn.steps import Alpha
from lightning_ecinn.metrics.classification import difference

__all__ = ["certify"]


@torch.no_grad()
def certify(explainer: BlackBox, alpha: Alpha, cf: Counterfactual) -> Certificate:
    """The classifier's class and probabilities of the pictures in 8 bits, the flow's likelihood.

    ``tipping_gap`` is that of the classifier's logarithms, of labels of 1 and the smallest number.

    Args:
        explainer: who made them.
        alpha: the step that was asked for.
        cf: the counterfactuals.
    """
    session, shape = explainer.flow.inference.session(), cf.target.shape
    pictures = cf.image_8bit.flatten(0, len(shape) - 1)
    posterior = explainer.predictor(pictures).unflatten(0, shape)
    predicted = posterior.argmax(-1)
    logarithms = posterior.clamp_min(torch.finfo(torch.float32).tiny).log()
    measured = {
        "predicted": predicted,
        "posterior": posterior,
        "tipping_gap": difference(logarithms, cf.target, cf.source).abs(),
        "third_class": (predicted != cf.source) & (predicted != cf.target),
        **of_inputs(session, cf),
        **likelihood_of_pictures(session, cf)[0],
    }
    confidence = explainer.path.confidence if is_named(alpha, "certified") else None
    return certificate_of(explainer.class_names, cf, measured, puts_target_first(alpha), confidence)
