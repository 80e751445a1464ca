"""Making counterfactuals of a classifier that is asked: encode once, search along lines."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from lightning_ecinn.blackbox.black_box import BlackBox
from lightning_ecinn.blackbox.line_search import LONGEST, Found
from lightning_ecinn.blackbox.lines import Lines
from lightning_ecinn.ecinn.certificates import Certificate
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.paths import given_steps, is_named, puts_target_first
from lightning_ecinn.ecinn.steps import Alpha, NamedStep, alpha_convincing
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.models.preprocessing import round_to_8_bits

__all__ = ["make_counterfactuals"]

Searches = dict[tuple[float | None, bool], tuple[Found, Tensor, Tensor, Tensor]]
"""What was found by confidence and kind, and the lines' directions and counts afterwards."""


def make_counterfactuals(
    explainer: BlackBox,
    images: Tensor,
    target: Tensor,
    alphas: Sequence[Alpha],
    undefined: Literal["raise", "keep"],
    certify: Callable[[Alpha], Callable[[Counterfactual], Certificate]],
) -> list[Counterfactual]:
    """Counterfactuals of B images towards T targets each, (B, T, ...), for every step.

    Args:
        explainer: knows flow, classifier and class means.
        images: (B, C, H, W), checked.
        target: (B, T), checked.
        alphas: the steps; each counts as if it had been searched for alone.
        undefined: whether to refuse pairs without a step or to keep their images.
        certify: of a step, what makes certificates when they are asked for.
    """
    flow, shape = explainer.flow, target.shape
    session = flow.inference.session()
    pictures, z = as_float(images, flow.dtype).clone(), session.latents(images)
    before = explainer.predictor(round_to_8_bits(pictures))
    source = before.argmax(1).unsqueeze(1).expand(shape)
    rows = torch.arange(len(z), device=z.device).unsqueeze(1).expand(shape).flatten()
    lines = Lines.towards(
        session,
        explainer.predictor,
        pictures[rows],
        z[rows],
        source.flatten(),
        target.flatten(),
        explainer.class_means,
        explainer.path.truncation,
    )
    common = {
        "input": pictures.unsqueeze(1).expand(-1, shape[1], -1, -1, -1),
        "source": source,
        "target": target,
        "input_posterior": before.unsqueeze(1).expand(-1, shape[1], -1),
    }
    known: Searches = {}
    made = [
        _along(explainer, lines, alpha, before[rows], undefined, shape, known) for alpha in alphas
    ]
    return [
        Counterfactual(
            **common, **values, class_names=explainer.class_names, _certify=certify(alpha)
        )
        for alpha, values in zip(alphas, made, strict=True)
    ]


def _along(
    explainer: BlackBox,
    lines: Lines,
    alpha: Alpha,
    before: Tensor,
    undefined: Literal["raise", "keep"],
    shape: torch.Size,
    known: Searches,
) -> dict[str, Tensor]:
    """What one step along lines (N,) gives, by the names of `Counterfactual`, (B, T, ...)."""
    has_mean = explainer.class_counts > 0
    has_both = has_mean[lines.source] & has_mean[lines.target]
    moving = lines.source != lines.target
    if undefined == "raise":
        _refuse_unknown(explainer, lines, moving & ~has_both)
    own = lines.only(torch.arange(len(moving), device=moving.device))  # it counts, and may turn
    found = _steps(explainer, own, moving & has_both, alpha, before, shape, known)
    if undefined == "raise":
        _refuse_unreached(explainer, own, moving & ~found.passed)
    values = {
        "image": found.pictures,
        "alpha": found.alpha,
        "posterior": found.probabilities,
        "latent": torch.addcmul(own.z, found.alpha.unsqueeze(1), own.direction),
        "defined": found.passed | ~moving,
        "forward_evaluations": own.forward,
        "inverse_evaluations": own.inverse,
    }
    return {name: value.unflatten(0, shape) for name, value in values.items()}


def _steps(
    explainer: BlackBox,
    lines: Lines,
    asked: Tensor,
    alpha: Alpha,
    before: Tensor,
    shape: torch.Size,
    known: Searches,
) -> Found:
    """What is found on lines (N,), and that nothing moves where nothing is asked."""
    length = None
    if not is_named(alpha, *get_args(NamedStep)):  # or it says which names there are
        length = given_steps(alpha, lines.z.new_zeros(shape))
    found = Found(
        lines.z.new_zeros(len(asked)),
        torch.zeros_like(asked),
        lines.inputs.clone(),
        before.clone(),
        torch.zeros_like(lines.target),
    )
    index = asked.nonzero().squeeze(1)
    if not len(index):
        return found
    part = lines.only(index)
    if length is None:
        here = _searched(explainer, part, alpha, known)
    else:
        here = _made(part, length.flatten()[index])
    lines.direction[index], lines.forward[index] = part.direction, part.forward
    lines.inverse[index] = part.inverse
    good = here.passed.nonzero().squeeze(1)
    found.put(index[good], here.alpha[good], here.pictures[good], here.probabilities[good])
    return found


def _searched(explainer: BlackBox, lines: Lines, alpha: Alpha, known: Searches) -> Found:
    """The step of a name on lines (N,); what was searched for already is taken."""
    confidence = explainer.path.confidence if is_named(alpha, "certified") else None
    asked = confidence, puts_target_first(alpha)
    if asked not in known:
        first = _first_passing(explainer, lines, *asked)
        known[asked] = (first, lines.direction, lines.forward, lines.inverse)
    found, lines.direction, lines.forward, lines.inverse = copy.deepcopy(known[asked])
    if not is_named(alpha, "convincing") or not found.passed.any():
        return found
    good = found.passed.nonzero().squeeze(1)
    part = lines.only(good)
    made = _made(part, alpha_convincing(found.alpha[good], explainer.path.convincing_step))
    lines.forward[good], lines.inverse[good] = part.forward, part.inverse
    found.put(good, made.alpha, made.pictures, made.probabilities)
    return found


def _first_passing(
    explainer: BlackBox, lines: Lines, confidence: float | None, before_every_class: bool
) -> Found:
    """What is found on lines (N,), turned where nothing is and that is wished."""
    found = lines.search(confidence, before_every_class=before_every_class)
    missed = (~found.passed).nonzero().squeeze(1)
    if explainer.second_direction and len(missed):
        lines.turn(explainer.flow.classifier, missed)
        part = lines.only(missed)
        again = part.search(confidence, before_every_class=before_every_class)
        lines.forward[missed], lines.inverse[missed] = part.forward, part.inverse
        good = again.passed
        found.put(missed[good], again.alpha[good], again.pictures[good], again.probabilities[good])
    return found


def _made(lines: Lines, alpha: Tensor) -> Found:
    """What steps (N,) of one's own give."""
    every = torch.arange(len(alpha), device=alpha.device)
    pictures, probabilities = lines.at(alpha, every)
    lines.forward += 1
    lines.inverse += 1
    once = torch.ones_like(every)
    return Found(alpha, once.bool(), pictures, probabilities, once)


def _refuse_unknown(explainer: BlackBox, lines: Lines, wrong: Tensor) -> None:
    """Raise a ValueError for the first class without a mean."""
    if wrong.any():
        pairs = torch.stack((lines.source, lines.target))[:, wrong].flatten().tolist()
        k = next(k for k in pairs if explainer.class_counts[k] == 0)
        raise ValueError(
            f"The classifier took no image for {explainer.class_names[k]}, so there is no class "
            "mean to step from or to: build the class means over more images, or explain other "
            "classes."
        )


def _refuse_unreached(explainer: BlackBox, lines: Lines, wrong: Tensor) -> None:
    """Raise a ValueError for the first line along which the classifier never says q."""
    if wrong.any():
        k = int(wrong.nonzero()[0])
        p, q = (explainer.class_names[v[k]] for v in (lines.source, lines.target))
        raise ValueError(
            f"Along the direction from {p} to {q} the classifier does not say what was asked for, "
            f"up to {LONGEST:g} times the difference of the class means, in {int(wrong.sum())} of "
            f'{len(wrong)} counterfactuals: keep these inputs with undefined="keep", or, if it has '
            "gradients, try second_direction=True."
        )
