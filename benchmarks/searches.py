"""Searches for counterfactuals by a classifier's gradient, many images at once.

Images do not influence each other: each has its own evaluations, and stops when it has arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.models.networks import Network
from lightning_ecinn.models.preprocessing import round_to_8_bits

__all__ = ["LatentSearch", "Searched", "Wachter"]


@dataclass
class Searched:
    """What was found for N images.

    Attributes:
        pictures: (N, C, H, W) in 8 bits, float in [0, 1]; the image itself where nothing was found.
        found: (N,), bool, whether the classifier says q with the confidence.
        asked: (N,), its evaluations; a gradient counts as two, the image's own is among them.
    """

    pictures: Tensor
    found: Tensor
    asked: Tensor

    def first(self, count: int) -> Searched:
        """Of the first so many images."""
        return Searched(self.pictures[:count], self.found[:count], self.asked[:count])


@dataclass(frozen=True)
class Wachter:
    r"""The search of Wachter, Mittelstadt and Russell (2017) among pictures.

    .. math:: \min_{x'} \lambda (p(q|x') - 1)^2 + |x' - x|_1

    or with :math:`-\log p(q|x')` in the square's place. By Adam, from x, in [0, 1]; where nothing
    is found, lambda is raised tenfold and the search goes on.

    Args:
        lr: of Adam, in units of the grey range.
        weight: the first lambda.
        term: "square", the paper's, or "cross_entropy".
        first: stop at the first picture that passes, not at the closest one of the round.
        iterations: for each lambda.
        rounds: how many values of lambda.
    """

    lr: float
    weight: float
    term: Literal["square", "cross_entropy"] = "square"
    first: bool = True
    iterations: int = 100
    rounds: int = 6

    def __call__(
        self, network: Network, images: Tensor, target: Tensor, confidence: float
    ) -> Searched:
        """Search for images (N, C, H, W), in 8 bits, towards classes (N,)."""
        x = images.clone()
        search = _Search(network, images, target, confidence, lambda x: x, self.first)
        for k in range(self.rounds):

            def loss(x: Tensor, log_p: Tensor, index: Tensor, k: int = k) -> Tensor:
                missing = (log_p.exp() - 1).square() if self.term == "square" else -log_p
                distance = (x - images[index]).abs().flatten(1).sum(1)
                return self.weight * 10.0**k * missing + distance

            adam = torch.optim.Adam([x], self.lr)
            search.descend(x, adam, loss, self.iterations, within=(0.0, 1.0))
            search.done |= search.result.found
        return search.result


@dataclass(frozen=True)
class LatentSearch:
    r"""Diffeomorphic counterfactuals (Dombrowski et al. 2021, 2022): gradient ascent in a flow.

    .. math:: \max_z \log p(q|f^{-1}(z)), \qquad z_0 = f(x)

    It stops at the first picture that passes; the distance has no term.

    Args:
        lr: step size, in units of the latents.
        adam: by Adam, otherwise plain gradient ascent.
        iterations: at most.
    """

    lr: float
    adam: bool = True
    iterations: int = 200

    def __call__(
        self,
        flow: GenerativeClassifier,
        network: Network,
        images: Tensor,
        target: Tensor,
        confidence: float,
    ) -> Searched:
        """Search for images (N, C, H, W), in 8 bits, towards classes (N,)."""
        with torch.no_grad():
            z = flow.encode(images)[0]

        def decode(z: Tensor) -> Tensor:
            return flow.decode(z, clamp=False)

        search = _Search(network, images, target, confidence, decode, first=True)
        method = torch.optim.Adam if self.adam else torch.optim.SGD
        search.descend(z, method([z], self.lr), lambda z, log_p, index: -log_p, self.iterations)
        return search.result


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of parameters (M, ...), log p(q) (M,) and the images' numbers (M,): (M,)."""


class _Search:
    """Images on their way towards classes, and the closest picture found of each.

    Args:
        network: the classifier.
        images: (N, C, H, W) in 8 bits.
        target: (N,), q.
        confidence: that q is to have.
        decode: pictures (M, C, H, W) of parameters (M, ...).
        first: whether an image has arrived with the first picture that passes.
    """

    def __init__(
        self,
        network: Network,
        images: Tensor,
        target: Tensor,
        confidence: float,
        decode: Callable[[Tensor], Tensor],
        first: bool,
    ):
        self.network, self.images, self.target = network, images, target
        self.confidence, self.decode, self.first = confidence, decode, first
        self.done = torch.zeros_like(target, dtype=torch.bool)
        self.result = Searched(images.clone(), self.done.clone(), torch.zeros_like(target))
        self.distance = torch.full(target.shape, torch.inf)

    @torch.enable_grad()
    def descend(
        self,
        parameters: Tensor,
        optimizer: torch.optim.Optimizer,
        loss: Loss,
        iterations: int,
        within: tuple[float, float] | None = None,
    ) -> None:
        """Go down a loss of parameters (N, ...), which change in place and stay within a range."""
        for _ in range(iterations):
            index = (~self.done).nonzero().squeeze(1)
            if not len(index):
                return
            moving = parameters[index].requires_grad_()
            log_p = self._ask(self.decode(moving), index)
            self.result.asked[index] += (~self.done[index]).long()  # the gradient, where it goes on
            (slope,) = torch.autograd.grad(loss(moving, log_p, index).sum(), moving)
            parameters.grad = torch.zeros_like(parameters)
            parameters.grad[index] = slope
            optimizer.step()
            if within is not None:
                parameters.clamp_(*within)

    def _ask(self, pictures: Tensor, index: Tensor) -> Tensor:
        """Log p(q) (M,) of pictures in 8 bits, as if rounding had the gradient 1; note who passes.

        So what is rounded in the end is what was asked about.
        """
        rounded = round_to_8_bits(pictures.detach().clamp(0, 1))
        answers = self.network(pictures + (rounded - pictures).detach()).log_softmax(1)
        target = self.target[index]
        log_p = answers.gather(1, target.unsqueeze(1)).squeeze(1)
        self.result.asked[index] += 1
        passed = (answers.argmax(1) == target) & (log_p.detach().exp() >= self.confidence)
        distance = (rounded - self.images[index]).abs().flatten(1).sum(1)
        better = passed & (distance < self.distance[index])
        chosen = index[better]
        self.distance[chosen] = distance[better]
        self.result.pictures[chosen], self.result.found[chosen] = rounded[better], True
        if self.first:
            self.done[index[passed]] = True
        return log_p
