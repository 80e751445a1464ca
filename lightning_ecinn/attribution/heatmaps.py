"""Heatmaps of any method for any classifier, and whether they add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_ecinn.attribution.asked import why_not
from lightning_ecinn.attribution.inputs import (
    checked_baselines,
    checked_option,
    class_per_image,
)
from lightning_ecinn.attribution.methods import METHODS, OPTIONS, REGISTRY, Method
from lightning_ecinn.attribution.scores import Model, PairScore
from lightning_ecinn.attribution.task import Task
from lightning_ecinn.metrics.classification import difference
from lightning_ecinn.models.inputs import Classes

__all__ = ["COMPLETENESS_LIMIT", "Heatmap", "attribute"]

COMPLETENESS_LIMIT = 0.10
"""Largest completeness gap of a heatmap that counts as complete."""


@dataclass(frozen=True)
class Heatmap:
    """Heatmaps of a batch.

    Attributes:
        values: (B, C, H, W), signed: positive speaks for the target, negative for the source.
            For ECINNh it is the change of the picture, in units of the range [0, 1].
        method: the name in `METHODS`.
        completeness_gap: (B,), abs(sum of values - d) / abs(d) with d = F(x) - F(x'), the mean
            over all baselines x' where there are several. None where the method has no such
            axiom. Differences below sqrt(eps) max(1, abs F(x), abs F(x')), eps the precision,
            are rounding errors: that bound then takes their place in the denominator.

    Example:
        >>> gaps = torch.tensor([0.02, 0.5])
        >>> Heatmap(torch.zeros(2, 1, 8, 8), "integrated_gradients", gaps).is_complete
        tensor([ True, False])
    """

    values: Tensor
    method: str
    completeness_gap: Tensor | None

    @property
    def is_complete(self) -> Tensor | None:
        """Whether the gap is at most `COMPLETENESS_LIMIT`, bool (B,); None without the axiom."""
        gap = self.completeness_gap
        return None if gap is None else gap <= COMPLETENESS_LIMIT


def attribute(
    model: Model,
    images: Tensor,
    target: Classes,
    source: Classes | None = None,
    *,
    method: str = "ecinnh",
    baselines: float | Tensor | None = None,
    chunk_size: int = 64,
    seed: int = 0,
    n_steps: int | None = None,
    n_samples: int | None = None,
    stdev: float | None = None,
    window: int | None = None,
    stride: int | None = None,
    undefined: Literal["raise", "keep"] | None = None,
) -> Heatmap:
    # Longer than other functions: every option has a name and a line here, where one looks.
    """Why q and not p? A heatmap per image, of F(x) = log p(q|x) - log p(p|x) (Section 4.3).

    The model's mode, gradients and the global random state stay as they are. It works inside
    Lightning's inference mode, in the precision and on the device of the model.

    Args:
        model: an `Explainer`, a `BlackBoxExplainer`, a `GenerativeClassifier`, a module that has
            one as ``classifier``, or any module from float images (B, C, H, W) in [0, 1] to logits
            (B, K).
        images: (B, C, H, W), uint8 or float in [0, 1].
        target: q, one class for all or (B,), by numbers or names.
        source: p, one class for all or (B,); by default the predicted class, and for ECINNh
            always that.
        method: one of `METHODS`; `OPTIONS` says which of the following each one takes.
        baselines: what counts as nothing: None for black, a grey value in [0, 1], a picture
            (C, H, W) or a distribution of pictures (N, C, H, W), uint8 or float. DeepLiftSHAP
            and GradSHAP use all pictures of a distribution, the others its mean picture.
        chunk_size: pictures that go through the model at once, at most; bounds the memory.
        seed: of GradSHAP and SmoothGrad; every image gets the same draws, whatever its batch.
        n_steps: of Integrated Gradients, 50 by default.
        n_samples: of GradSHAP and SmoothGrad, 50 by default.
        stdev: of their noise, in units of the range [0, 1]; by default 0 and 0.15.
        window: side of Occlusion's square, by default a seventh of the image's.
        stride: by which it moves, by default half the window.
        undefined: ECINNh's answer to a pair of classes without a step between them: "raise", the
            default, or "keep" for a heatmap of zeros.

    Raises:
        ValueError: for an unknown method, an option that the method does not take, images,
            baselines or classes that the model can't have, and ECINNh for a model without an
            inverse, or of a classifier that is asked and has no gradients or layers.

    Example:
        >>> from lightning_ecinn import MNIST, Explainer
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> images, labels, _ = MNIST(source="sample").dataset("test")[torch.arange(4)]
        >>> heatmap = attribute(explainer, images, target=3)
        >>> torch.equal(heatmap.values, explainer.explain(images, target=3).heatmap)
        True
        >>> attribute(explainer, images, target=3, method="saliency").values.shape
        torch.Size([4, 1, 28, 28])
    """
    chosen = _method(method, checked_option("chunk_size", chunk_size))
    given = {
        "baselines": baselines,
        "n_steps": n_steps,
        "n_samples": n_samples,
        "stdev": stdev,
        "window": window,
        "stride": stride,
        "undefined": undefined,
    }
    options = _options(method, {name: v for name, v in given.items() if v is not None})
    if reason := why_not(model, method):
        raise ValueError(f"There is no heatmap of {chosen.label}: {reason}.")
    score, draws = PairScore(model), checked_option("seed", seed)
    with score.evaluating(), torch.enable_grad():
        pictures = score.pictures(images)
        logits = score.all_logits(pictures, chunk_size)
        q = class_per_image(target, "target", logits, score.class_names)
        p = _source(chosen, source, score, logits)
        base = _baselines(chosen, baselines, pictures)
        task = Task(model, score, pictures, q, p, base, chunk_size, draws, options)
        values = chosen.heatmap(task)
        gap = _gap(values, logits, task) if chosen.complete else None
    return Heatmap(_finite(values, chosen), method, gap)


def _method(name: str, chunk_size: int) -> Method:
    if not isinstance(name, str) or name not in REGISTRY:
        raise ValueError(f"There is no method {name!r}: use one of {', '.join(METHODS)}.")
    chosen = REGISTRY[name]
    if chunk_size < chosen.at_once:
        raise ValueError(
            f"{chosen.label} puts an image and its baseline through the model together: "
            f"chunk_size must be at least {chosen.at_once}, got {chunk_size}."
        )
    return chosen


def _options(method: str, given: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in given if name not in OPTIONS[method]]
    if unknown:
        takes = ", ".join(OPTIONS[method]) or "none"
        raise ValueError(
            f"{REGISTRY[method].label} does not take {', '.join(unknown)}; its options: {takes}."
        )
    given.pop("baselines", None)
    checked = {name: checked_option(name, value) for name, value in given.items()}
    return {**REGISTRY[method].options, **checked}


def _source(method: Method, source: Classes | None, score: PairScore, logits: Tensor) -> Tensor:
    """The class p (B,) that each image is, or is taken to be."""
    predicted = logits.argmax(1)
    if source is None:
        return predicted
    classes = class_per_image(source, "source", logits, score.class_names)
    other = (classes != predicted).nonzero()
    if len(other) and not method.source:
        k = int(other[0])
        raise ValueError(
            f"{method.label} explains the predicted class: image {k} is classified as "
            f"{predicted[k].item()}, got source {classes[k].item()}; leave source out."
        )
    return classes


def _baselines(method: Method, baselines: float | Tensor | None, pictures: Tensor) -> Tensor:
    """All baselines (N, C, H, W), or their mean where the method compares with one."""
    base = checked_baselines(baselines, tuple(pictures.shape[1:]), pictures)
    return base if method.baselines == "all" else base.mean(0, keepdim=True)


def _finite(values: Tensor, method: Method) -> Tensor:
    if not values.isfinite().all():
        raise ValueError(
            f"The heatmap of {method.label} is not finite: the model's gradients overflow; try "
            "float64."
        )
    return values


def _gap(values: Tensor, logits: Tensor, task: Task) -> Tensor:
    """The completeness gap (B,) of heatmaps whose images have these logits (B, K)."""
    base_logits = task.score.all_logits(task.baselines, task.chunk_size).mean(0)
    base = difference(base_logits.expand_as(logits), task.target, task.source)
    score = difference(logits, task.target, task.source)
    change = score - base
    error = (values.flatten(1).sum(1) - change).abs()
    size = torch.stack((score.abs(), base.abs(), torch.ones_like(base))).amax(0)
    return error / change.abs().maximum(torch.finfo(size.dtype).eps ** 0.5 * size)
