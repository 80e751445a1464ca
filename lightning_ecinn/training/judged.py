"""What a judge says of a flow: numbers, and what is fitted so that they are as wished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from lightning_ecinn.ecinn.agreement import Agreement, fit_offset
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.settings import PAPER_STEP
from lightning_ecinn.models.inputs import checked_images
from lightning_ecinn.models.temperature import fit_temperature
from lightning_ecinn.training.by_image import other_classes

__all__ = ["Seen", "Verdict", "fitted_step", "fitted_temperature", "judged"]

_BINS = 15
"""Of the expected calibration error, as Guo et al. (arXiv 1706.04599) have it."""

Judge = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Seen:
    """Images, encoded once, and what is asked of each: one random other class.

    Attributes:
        explainer: makes the counterfactuals.
        images: (N, C, H, W), on the explainer's device.
        labels: (N,).
        z: latents (N, D).
        predicted: (N,), the class each image is classified as.
        target: (N,), q.
    """

    explainer: Explainer
    images: Tensor
    labels: Tensor
    z: Tensor
    predicted: Tensor
    target: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, explainer: Explainer, images: Tensor, labels: Tensor) -> Seen:
        """Of images (N, C, H, W) and labels (N,) from anywhere."""
        images = checked_images(images, explainer.image_shape, explainer.classifier.class_means)
        z = explainer.inference.session().latents(images)
        predicted = explainer.classifier.mixture.scores(z).argmax(1)
        target = other_classes(images, predicted, explainer.num_classes)
        return cls(explainer, images, labels.to(z.device), z, predicted, target)

    @torch.no_grad()
    def scores(self) -> Tensor:
        """Log p(y|x) at the classifier's temperature, up to one number per image, (N, K)."""
        return self.explainer.classifier.mixture.scores(self.z)

    def agreement(self, judge: Judge) -> Agreement:
        """Whether the judge sees the target at any step."""
        return Agreement(self.explainer, self.z, self.target, judge)


@dataclass(frozen=True)
class Verdict:
    """Numbers by their names, and a sentence.

    Attributes:
        numbers: what is logged.
        sentence: what is said.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    sentence: str = ""


@torch.no_grad()
def judged(seen: Seen, judge: Judge, kind: str) -> Verdict:
    """What was reached, on images that neither network was trained on.

    ``judge/agreement`` is the share of the convincing counterfactuals in which the judge sees the
    target; one that does not exist counts as not seen, and in ``judge/undefined``.

    Args:
        seen: the images.
        judge: the other network.
        kind: of the images: "test" or "validation".
    """
    explainer, count = seen.explainer, len(seen.images)
    chunks = seen.images.split(explainer.chunk_size)
    theirs = torch.cat([judge(chunk).argmax(1) for chunk in chunks])
    agreement = seen.agreement(judge)
    agrees = agreement.seen(explainer.convincing_step)
    numbers = {
        "judge/accuracy": _share(theirs == seen.labels),
        "judge/flow_accuracy": _share(seen.predicted == seen.labels),
        "judge/agreement": _share(agrees),
        "judge/undefined": _share(~agreement.defined),
        "judge/images": float(count),
    }
    towards = _towards(seen, agrees) if explainer.num_classes == 2 else {}
    for name, share in towards.items():
        numbers[f"judge/agreement_to_{name.replace(' ', '_')}"] = share
    sentence = _sentence(numbers, towards, f"{count:,} {kind} images")
    return Verdict(numbers | _calibration(seen), sentence)


def fitted_step(
    seen: Seen, judge: Judge, configured: tuple[float, float], wanted: float
) -> tuple[tuple[float, float], Verdict]:
    """The convincing step, from the configured one up, at which the judge sees the targets.

    Args:
        seen: validation images.
        judge: the other network.
        configured: offset and slope; the slope stays.
        wanted: share of the counterfactuals in which it is to see the target.

    Returns:
        The step, and what is said of it.
    """
    agreement, (first, slope) = seen.agreement(judge), configured
    found = fit_offset(lambda offset: _share(agreement.seen((offset, slope))), first, wanted)
    paper = _share(agreement.seen(PAPER_STEP))
    step = f"{found.offset:g} + {slope:g} alpha_0"
    images = f"the counterfactuals of {len(seen.images):,} validation images"
    if found.reached:
        said = (
            f"The convincing step is {step}, the shortest from {first:g} up, by 0.05, with which "
            f"the judge sees the target in {_percent(wanted)} of {images}: in "
            f"{_percent(found.share)}"
        )
    else:
        said = (
            f"With no convincing step up to 2 + {slope:g} alpha_0 the judge sees the target in "
            f"{_percent(wanted)} of {images}: it is {step}, the shortest of those that come "
            f"nearest, with {_percent(found.share)}"
        )
    numbers = {
        "judge/step_offset": found.offset,
        "judge/step_agreement": found.share,
        "judge/paper_step_agreement": paper,
    }
    offset, rate = PAPER_STEP
    sentence = f"{said}; with the paper's {offset:g} + {rate:g} alpha_0 in {_percent(paper)}."
    return (found.offset, slope), Verdict(numbers, sentence)


def fitted_temperature(seen: Seen) -> tuple[float, Verdict]:
    """The temperature of validation images, whose classifier has that of 1 until now.

    Where none is best it stays 1, and that is said.
    """
    temperature = fit_temperature(seen.scores(), seen.labels)
    if temperature is None:
        all_right = bool((seen.predicted == seen.labels).all())
        how = "correctly" if all_right else "no better than at random"
        sentence = (
            f"The posterior's temperature stays 1: all of {len(seen.labels):,} validation images "
            f"are classified {how}, which leaves none to fit."
        )
        return 1.0, Verdict({"calibration/temperature": 1.0}, sentence)
    sentence = f"The posterior's temperature is {temperature:.3g}, fitted to validation images."
    return temperature, Verdict({"calibration/temperature": temperature}, sentence)


def _calibration(seen: Seen) -> dict[str, float]:
    """The expected calibration error with the temperature that there is, and with that of 1."""
    error = partial(
        multiclass_calibration_error,
        target=seen.labels,
        num_classes=seen.explainer.num_classes,
        n_bins=_BINS,
    )
    temperature, scores = seen.explainer.classifier.mixture.temperature, seen.scores()
    numbers = {"calibration/ece": error(scores.softmax(1)).item()}
    if temperature != 1:
        numbers["calibration/ece_before"] = error((scores * temperature).softmax(1)).item()
    return numbers


def _towards(seen: Seen, agrees: Tensor) -> dict[str, float]:
    """The share for each target that there is, by its name."""
    names = enumerate(seen.explainer.class_names)
    asked = {name: seen.target == k for k, name in names}
    return {name: _share(agrees[which]) for name, which in asked.items() if which.any()}


def _sentence(numbers: dict[str, float], towards: dict[str, float], images: str) -> str:
    """What was reached, in one sentence."""
    each = ", ".join(f"{name} {_percent(share)}" for name, share in towards.items())
    each = f" (towards {each})" if each else ""
    undefined = numbers["judge/undefined"]
    missing = f", to {_percent(undefined)} of which no step leads" if undefined else ""
    return (
        f"An independent network sees the target in {_percent(numbers['judge/agreement'])} of the "
        f"convincing counterfactuals of {images}{missing}{each}; error "
        f"{_percent(1 - numbers['judge/flow_accuracy'])} (the network's "
        f"{_percent(1 - numbers['judge/accuracy'])})."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _share(which: Tensor) -> float:
    return which.double().mean().item()
