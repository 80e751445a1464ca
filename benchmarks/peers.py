"""ECINN beside searches and heatmaps, on a trained model: cost, validity, distance, realism."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from FrEIA.framework import SequenceINN
from torch import Tensor

from benchmarks.explaining import one_by_one
from benchmarks.measure import Table, ratio
from benchmarks.plain import plain
from benchmarks.prototypes import Prototypes
from lightning_ecinn import Explainer, GenerativeClassifier
from lightning_ecinn.attribution import attribute
from lightning_ecinn.datamodules import MNIST
from lightning_ecinn.flows import FoldedFlow
from lightning_ecinn.models.preprocessing import round_to_8_bits
from lightning_ecinn.shipped import FOLDER

__all__ = ["counted", "run", "search"]

Method = Callable[[Tensor, Tensor], Tensor | None]
"""A counterfactual (1, C, H, W) of an image (1, C, H, W) and a target (1,); None: a heatmap."""

_ECINN = "ECINN (Explainer)"
_PASSES = ("forwards", "inverses", "gradients")


@dataclass
class Outcome:
    """What one method needed and gave, for each image.

    Attributes:
        seconds: of each call.
        passes: pictures that went through the flow, by kind, over all images.
        pictures: the counterfactuals, (1, C, H, W) each.
    """

    seconds: list[float] = field(default_factory=list)
    passes: Counter[str] = field(default_factory=Counter)
    pictures: list[Tensor] = field(default_factory=list)


def run(quick: bool = False) -> list[Table]:
    """Every method on the same digits and targets, the methods taking turns."""
    explainer = Explainer.from_checkpoint(FOLDER / "models" / "mnist_small.ckpt")
    explainer.classifier.requires_grad_(False)
    images, targets, references = _digits(explainer, 2 if quick else 20)
    methods = _methods(explainer, references, quick)
    outcomes = _outcomes(methods, images, targets)
    seconds = {name: outcome.seconds for name, outcome in outcomes.items()}
    columns = ["method", "s per counterfactual (median)", *_PASSES, "validity (%)"]
    table = Table(
        "One counterfactual of a digit",
        [*columns, "L1 per pixel", "log p(x) (nats, median)", "times slower than ECINN"],
    )
    for name, outcome in outcomes.items():
        cost = [outcome.passes[kind] / len(images) for kind in _PASSES]
        result = _judged(explainer, outcome.pictures, images, targets)
        slower = ratio(seconds, name, _ECINN)
        table.rows.append([name, statistics.median(outcome.seconds), *cost, *result, slower])
    own = explainer.log_prob(images).median().item()
    table.notes = [
        f"{len(images)} test digits of the shipped sample, one random target each, one at a time; "
        "the shipped mnist_small. Passes: pictures through the flow, the mean. Validity, "
        "L1 (in units of the range [0, 1]) and log p(x) are of the result rounded to 8 bits. "
        f"Median log p(x) of the digits themselves: {own:.0f}.",
        'Wachter\'s search minimises lambda CE + L1 by Adam. "First flip" stops at the first '
        'picture of the target class, "closest" goes on for the closest one. Low L1 means that '
        "hardly anything to be seen has changed: an adversarial example, not an explanation.",
        "Heatmaps are no counterfactuals and have no validity.",
    ]
    if "alibi (prototypes)" not in methods:
        table.notes.append("alibi is not installed: see benchmarks/README.md.")
    return [table]


def search(
    classifier: GenerativeClassifier,
    image: Tensor,
    target: Tensor,
    *,
    first: bool,
    iterations: int = 100,
    rounds: int = 5,
) -> Tensor:
    """The search of Wachter et al. (2017): min over x' of lambda CE(x', target) + |x' - x|_1.

    Adam on the pixels; where no iterate is the target, lambda is raised tenfold, from 0.1. The
    classifier sees iterates rounded to 8 bits, so that rounding the result changes nothing.

    Args:
        classifier: in evaluation mode.
        image: x, (1, C, H, W), float in [0, 1].
        target: (1,).
        first: stop at the first iterate that is the target.
        iterations: for each lambda.
        rounds: how many values of lambda.

    Returns:
        The closest iterate classified as the target, else the last one.
    """
    x, best, closest = image.clone().requires_grad_(), None, float("inf")
    for k in range(rounds):
        adam = torch.optim.Adam([x], lr=0.01)
        for _ in range(iterations):
            seen = x + (round_to_8_bits(x) - x).detach()
            log_posterior = classifier.mixture.log_posterior(classifier.encode(seen)[0])
            distance = (seen - image).abs().sum()
            if log_posterior.argmax() == target and distance < closest:
                best, closest = seen.detach(), distance.item()
                if first:
                    return best
            adam.zero_grad()
            (10.0 ** (k - 1) * F.nll_loss(log_posterior, target) + distance).backward()
            adam.step()
            with torch.no_grad():
                x.clamp_(0, 1)
        if best is not None:
            return best
    return round_to_8_bits(x.detach())


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the pictures that go through flows: forwards, inverses and gradients of forwards."""
    passes: Counter[str] = Counter()
    with ExitStack() as stack:
        for flow in (SequenceINN, FoldedFlow):
            stack.enter_context(patch.object(flow, "forward", _counting(flow.forward, passes)))
        yield passes


def _counting(forward: Callable[..., Any], passes: Counter[str]) -> Callable[..., Any]:
    def counting(flow: Any, x: Tensor, *args: Any, rev: bool = False, **kwargs: Any) -> Any:
        y, log_det = forward(flow, x, *args, rev=rev, **kwargs)
        passes["inverses" if rev else "forwards"] += len(x)
        if y.requires_grad:
            y.register_hook(lambda _: passes.update(gradients=len(x)))
        return y, log_det

    return counting


def _digits(explainer: Explainer, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Test digits (N, 1, 28, 28) in [0, 1], other classes (N,), and training digits."""
    generator = torch.Generator().manual_seed(0)
    data = MNIST(source="sample")
    images, _ = data.load(train=False)
    images = images[torch.randperm(len(images), generator=generator)[:count]] / 255
    step = torch.randint(1, explainer.num_classes, (count,), generator=generator)
    targets = (explainer.posterior(images).argmax(1) + step) % explainer.num_classes
    return images, targets, data.load(train=True)[0][:1000] / 255


def _methods(explainer: Explainer, references: Tensor, quick: bool) -> dict[str, Method]:
    classifier = explainer.classifier
    reference = plain(classifier)
    limits: dict[str, Any] = {"iterations": 2, "rounds": 1} if quick else {}

    def heatmap(image: Tensor, target: Tensor, n_steps: int) -> None:
        attribute(explainer, image, target, method="integrated_gradients", n_steps=n_steps)

    methods: dict[str, Method] = {
        _ECINN: lambda image, target: explainer.explain(image, target).image,
        "ECINN, plain network": lambda image, target: one_by_one(
            reference, image, target.unsqueeze(1), tipping=False
        ),
        "Wachter, first flip": partial(search, classifier, first=True, **limits),
        "Wachter, closest": partial(search, classifier, first=False, **limits),
    }
    for n_steps in (2, 4) if quick else (50, 200):
        methods[f"Integrated Gradients, {n_steps} steps"] = partial(heatmap, n_steps=n_steps)
    if find_spec("alibi") is not None:
        methods["alibi (prototypes)"] = _alibi(explainer, references, 2 if quick else 200)
    return methods


def _alibi(explainer: Explainer, references: Tensor, iterations: int) -> Method:
    """CounterfactualProto, or the image where it finds nothing."""
    search = Prototypes(explainer.posterior, references, iterations=iterations)

    def counterfactual(image: Tensor, target: Tensor) -> Tensor:
        found = search(image, int(target))
        return image if found is None else found

    return counterfactual


def _outcomes(methods: dict[str, Method], images: Tensor, targets: Tensor) -> dict[str, Outcome]:
    outcomes = {name: Outcome() for name in methods}
    for method in methods.values():
        method(images[:1], targets[:1])  # warm up
    for image, target in zip(images.split(1), targets.split(1), strict=True):
        for name, method in methods.items():
            outcome = outcomes[name]
            with counted() as passes:
                start = time.perf_counter()
                picture = method(image, target)
                outcome.seconds.append(time.perf_counter() - start)
            outcome.passes.update(passes)
            if picture is not None:
                outcome.pictures.append(picture)
    return outcomes


def _judged(
    explainer: Explainer, pictures: list[Tensor], images: Tensor, targets: Tensor
) -> list[Any]:
    """Validity, L1 per pixel and log p(x) of the pictures after rounding; dashes without any."""
    if not pictures:
        return ["-", "-", "-"]
    seen = round_to_8_bits(torch.cat(pictures))
    valid = explainer.posterior(seen).argmax(1) == targets
    distance = (seen - images).abs().mean().item()
    return [100 * valid.double().mean().item(), distance, explainer.log_prob(seen).median().item()]
