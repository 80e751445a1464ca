"""The methods: ECINNh, and Captum's with bounded memory and draws of their own."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal

import lazy_loader
import torch
from torch import Tensor, nn

from lightning_ecinn.attribution.scores import PairScore
from lightning_ecinn.attribution.task import Task
from lightning_ecinn.blackbox.explainer import BlackBoxExplainer
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.models.classifier import GenerativeClassifier

__all__ = ["LABELS", "METHODS", "OPTIONS", "REGISTRY", "Method"]

captum = lazy_loader.load("captum")  # imported when a heatmap of its methods is drawn

# What Captum's DeepLift hooks.
_HOOKED = ("torch.nn.modules.activation", "torch.nn.modules.pooling")


@dataclass(frozen=True)
class Method:
    """One way to draw a heatmap.

    Attributes:
        label: its name in figures.
        heatmap: draws it, (B, C, H, W).
        baselines: whether it compares with one baseline, with all, or with none.
        options: its further options with their defaults.
        complete: whether its heatmaps should add up to F(x) - F(x').
        source: whether its p may be another class than the predicted one.
        at_once: pictures that its smallest step puts through the model.
    """

    label: str
    heatmap: Callable[[Task], Tensor]
    baselines: Literal["none", "one", "all"] = "none"
    options: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False
    source: bool = True
    at_once: int = 1


def _ecinnh(task: Task) -> Tensor:
    """ECINNh (Eq. 4): the convincing counterfactual minus the image."""
    if isinstance(task.model, BlackBoxExplainer):
        undefined = task.options["undefined"]
        return task.model.explain(task.images, task.target, undefined=undefined).heatmap
    network = task.score.network
    if not isinstance(network, GenerativeClassifier):
        raise ValueError(
            f"ECINNh needs an invertible classifier, and {type(network).__name__} is none: use "
            "another method for ordinary networks."
        )
    # A module knows the step that it was configured with.
    own = (
        task.model if isinstance(task.model, Explainer) else getattr(task.model, "explainer", None)
    )
    explainer = copy.copy(own) if isinstance(own, Explainer) else Explainer(network)
    explainer.chunk_size = task.chunk_size
    return explainer.explain(task.images, task.target, undefined=task.options["undefined"]).heatmap


def _saliency(task: Task) -> Tensor:
    """The gradient of F, signed."""
    method = captum.attr.Saliency(task.score)
    return task.mean(
        1, task.chunk_size, lambda i, _: task.captum(method, task.images[i], i, abs=False)
    )


def _input_x_gradient(task: Task) -> Tensor:
    method = captum.attr.InputXGradient(task.score)
    return task.mean(1, task.chunk_size, lambda i, _: task.captum(method, task.images[i], i))


def _integrated_gradients(task: Task) -> Tensor:
    """Gradients along the line from the baseline, by Gauss-Legendre quadrature."""
    method = captum.attr.IntegratedGradients(task.score)
    settings = {
        "baselines": task.baselines,
        "n_steps": task.options["n_steps"],
        "internal_batch_size": task.chunk_size,
    }
    return task.mean(
        1, task.chunk_size, lambda i, _: task.captum(method, task.images[i], i, **settings)
    )


def _deep_lift(task: Task) -> Tensor:
    """DeepLift (Rescale rule), the mean over all baselines: with several it is DeepLiftSHAP."""
    with _deep_lift_ready(task.score) as score:
        method = captum.attr.DeepLift(score)

        def heat(i: Tensor, j: Tensor) -> Tensor:
            return task.captum(method, task.images[i], i, baselines=task.baselines[j])

        # An image and its baseline go through the model together.
        return task.mean(len(task.baselines), task.chunk_size // 2, heat)


@contextmanager
def _deep_lift_ready(score: PairScore) -> Iterator[PairScore]:
    """The score for Captum's DeepLift, which is right here where a tensor has several readers.

    Captum replaces the whole gradient of an activation's input, and so loses what reaches that
    tensor by another way: a skip connection, or a flow's passive half. Each activation therefore
    gets a view of its input for itself. All this hooks modules and leaves things in them: it
    happens in a copy of theirs, so that nobody else who uses the model meets it.
    """
    score = _with_own_modules(score)
    for module in score.modules():
        if type(module).__module__ in _HOOKED:
            module.register_forward_pre_hook(_own_view)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Setting forward, backward hooks")
            yield score
    except RuntimeError as error:
        if "used more than once" not in str(error):
            raise
        raise ValueError(
            "DeepLift needs one activation module per call, but this model calls one of them "
            "more than once: give each call a module of its own."
        ) from None


def _with_own_modules(score: PairScore) -> PairScore:
    """A copy of all modules that shares all tensors."""
    things = chain.from_iterable(
        chain(module._parameters.values(), module._buffers.values(), vars(module).values())
        for module in score.modules()
    )
    try:
        return copy.deepcopy(score, {id(t): t for t in things if isinstance(t, Tensor)})
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"DeepLift works on a copy of the model, and this one can't be copied ({error}): use "
            "another method."
        ) from None


def _own_view(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.view_as(x) if isinstance(x, Tensor) else x for x in inputs)


def _gradient_shap(task: Task) -> Tensor:
    """Expected gradients: (x + n - x') times the gradient at a random point between them."""
    method, options = captum.attr.Saliency(task.score), task.options
    count = options["n_samples"]
    generator = torch.Generator().manual_seed(task.seed)
    choice = torch.randint(len(task.baselines), (count,), generator=generator)
    alpha = torch.rand(count, 1, 1, 1, generator=generator).to(task.images)
    noise = _noise(task, options["stdev"], count, generator)
    drawn = task.baselines[choice.to(task.images.device)]

    def heat(i: Tensor, j: Tensor) -> Tensor:
        way = task.images[i] + noise[j] - drawn[j]
        return way * task.captum(method, drawn[j] + alpha[j] * way, i, abs=False)

    return task.mean(count, task.chunk_size, heat)


def _smooth_grad(task: Task) -> Tensor:
    """The mean gradient of F at noisy copies of the image (SmoothGrad over Saliency)."""
    method, count = captum.attr.Saliency(task.score), task.options["n_samples"]
    generator = torch.Generator().manual_seed(task.seed)
    noise = _noise(task, task.options["stdev"], count, generator)
    return task.mean(
        count,
        task.chunk_size,
        lambda i, j: task.captum(method, task.images[i] + noise[j], i, abs=False),
    )


def _noise(task: Task, stdev: float, count: int, generator: torch.Generator) -> Tensor:
    """Noise (count, C, H, W), the same for every image, so that no image's depends on others."""
    if stdev == 0:
        return torch.zeros_like(task.images[:1]).expand(count, -1, -1, -1)
    shape = (count, *task.images.shape[1:])
    return stdev * torch.randn(shape, generator=generator).to(task.images)


def _occlusion(task: Task) -> Tensor:
    """What F loses, per pixel on average, where a square of the baseline covers it."""
    channels, height, width = task.images.shape[1:]
    side = min(height, width)
    window = task.options["window"] or max(1, side // 7)
    stride = task.options["stride"] or max(1, window // 2)
    if not stride <= window <= side:
        raise ValueError(
            f"Occlusion needs stride <= window <= {side}, the side of the images, got window "
            f"{window} and stride {stride}."
        )
    method = captum.attr.Occlusion(task.score)

    def heat(i: Tensor, _: Tensor) -> Tensor:
        return task.captum(
            method,
            task.images[i],
            i,
            baselines=task.baselines,
            sliding_window_shapes=(channels, window, window),
            strides=(channels, stride, stride),
            perturbations_per_eval=max(1, task.chunk_size // len(i)),
        )

    return task.mean(1, task.chunk_size, heat)


REGISTRY: dict[str, Method] = {
    "ecinnh": Method("ECINNh", _ecinnh, options={"undefined": "raise"}, source=False),
    "integrated_gradients": Method(
        "Integrated Gradients", _integrated_gradients, "one", {"n_steps": 50}, complete=True
    ),
    "deep_lift": Method("DeepLift", _deep_lift, "one", complete=True, at_once=2),
    "deep_lift_shap": Method("DeepLiftSHAP", _deep_lift, "all", complete=True, at_once=2),
    "gradient_shap": Method(
        "GradSHAP", _gradient_shap, "all", {"n_samples": 50, "stdev": 0.0}, complete=True
    ),
    "saliency": Method("Saliency", _saliency),
    "input_x_gradient": Method("Input x Gradient", _input_x_gradient),
    "occlusion": Method("Occlusion", _occlusion, "one", {"window": None, "stride": None}),
    "noise_tunnel": Method("SmoothGrad", _smooth_grad, options={"n_samples": 50, "stdev": 0.15}),
}
METHODS: tuple[str, ...] = tuple(REGISTRY)
LABELS: dict[str, str] = {name: method.label for name, method in REGISTRY.items()}
OPTIONS: dict[str, tuple[str, ...]] = {
    name: (() if method.baselines == "none" else ("baselines",)) + tuple(method.options)
    for name, method in REGISTRY.items()
}
