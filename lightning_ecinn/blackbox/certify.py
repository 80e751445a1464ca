"""Certificates that speak of the classifier that was explained."""

from __future__ import annotations

from dataclasses import replace

import torch

from lightning_ecinn.blackbox.black_box import BlackBox
from lightning_ecinn.blackbox.line_search import LONGEST
from lightning_ecinn.ecinn.certificates import Certificate, Reasons, in_rows
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
    made = certificate_of(explainer.class_names, cf, measured, puts_target_first(alpha), confidence)
    return replace(made, reason=_with_missing_steps(explainer, cf, made.reason, confidence))


def _with_missing_steps(
    explainer: BlackBox, cf: Counterfactual, reasons: Reasons, confidence: float | None
) -> Reasons:
    """Reasons (B,) or (B, T) that say of each search without a step what it did not find."""
    flat = [text for row in reasons for text in ([row] if isinstance(row, str) else row)]
    chosen = (~cf.defined).flatten().nonzero().flatten().tolist()
    source, target = (k.flatten().tolist() for k in (cf.source, cf.target))
    for i in chosen:
        flat[i] = _no_step(explainer, source[i], target[i], confidence)
    return in_rows(flat, cf.target.shape)


def _no_step(explainer: BlackBox, p: int, q: int, confidence: float | None) -> str:
    """Why there is no step from p to q."""
    for k in (p, q):
        if explainer.class_counts[k] == 0:
            return f"the classifier took no image for {explainer.class_names[k]}: it has no mean"
    sure = "" if confidence is None else f" with at least {confidence:.10g}"
    return (
        f"the classifier does not say {explainer.class_names[q]}{sure} up to {LONGEST:g} times the "
        "difference of the class means"
    )
