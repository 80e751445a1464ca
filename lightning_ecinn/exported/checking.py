"""Files that were written, asked beside the model that they are of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.exported.formats import read
from lightning_ecinn.exported.parts import Part
from lightning_ecinn.models.networks import Network

__all__ = ["Case", "cases_of_flow", "cases_of_network", "greatest_difference"]

_BATCHES = (1, 2, 5)
"""Files take any number of images: these are tried."""

Case = tuple[tuple[Tensor, ...], dict[str, Tensor]]
"""Inputs, and the outputs of the model."""


def greatest_difference(part: Part, path: Path, cases: list[Case]) -> float:
    """By how much an output of a file differs from the model's; infinite for NaN and other shapes.

    Args:
        part: that the file is of.
        path: of the file.
        cases: of several numbers of images.
    """
    asked = read(part, path)
    return max(_difference(asked(*inputs), expected) for inputs, expected in cases)


@torch.no_grad()
def cases_of_network(network: Network) -> dict[str, list[Case]]:
    """Random images and what an ordinary network says of them, by part."""
    generator = torch.Generator().manual_seed(0)
    like = next(network.parameters())
    images = torch.rand(max(_BATCHES), *network.image_shape, generator=generator).to(like)
    return {"classifier": [_case(images[:n], "posterior", network.posterior) for n in _BATCHES]}


def cases_of_flow(explainer: Explainer) -> dict[str, list[Case]]:
    """Images that the model draws, and what the explainer says of them, by part."""
    labels = torch.arange(max(_BATCHES)) % explainer.num_classes
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = explainer.sample(labels)
    latents, _ = explainer.encode(images)
    others = (labels + 1) % explainer.num_classes
    return {
        "classifier": [_case(images[:n], "posterior", explainer.posterior) for n in _BATCHES],
        "encoder": [
            _case(images[:n], "latents", lambda x: explainer.encode(x)[0]) for n in _BATCHES
        ],
        "decoder": [_case(latents[:n], "images", explainer.decode) for n in _BATCHES],
        "counterfactual": [
            case
            for n in _BATCHES
            for target in (labels, others)
            for case in _explained(explainer, images[:n], target[:n])
        ],
    }


def _case(given: Tensor, name: str, function: Callable[[Tensor], Tensor]) -> Case:
    """One input, and one output of the model."""
    return (given.cpu(),), {name: function(given).cpu()}


def _explained(explainer: Explainer, images: Tensor, target: Tensor) -> Iterator[Case]:
    """The tipping and the convincing step."""
    steps = ((0.0, 1.0), explainer.convincing_step)
    found = explainer.explain_steps(images, target, ("tipping", "convincing"), undefined="keep")
    for step, cf in zip(steps, found, strict=True):
        names = ("image", "alpha", "source", "posterior", "defined")
        inputs = (images.cpu(), target, torch.tensor(step, dtype=images.dtype))
        yield inputs, {name: getattr(cf, name).cpu() for name in names}


def _difference(said: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    if any(said[name].shape != value.shape for name, value in expected.items()):
        return math.inf
    found = [(said[name].double() - value.double()).abs() for name, value in expected.items()]
    greatest = max(one.max().item() for one in found)
    return greatest if all(one.isfinite().all() for one in found) else math.inf
