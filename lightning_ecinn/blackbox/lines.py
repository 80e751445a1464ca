"""Lines from images' latents towards a classifier's classes, and the steps on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_ecinn.blackbox.line_search import Found, first_passing_step
from lightning_ecinn.blackbox.predictor import Predictor
from lightning_ecinn.ecinn.inference import Session
from lightning_ecinn.ecinn.steps import class_direction, truncated_direction
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.preprocessing import round_to_8_bits

__all__ = ["Lines"]


@dataclass
class Lines:
    """N lines z + alpha Delta from latents towards classes, and who is asked along them.

    Attributes:
        session: the flow at work.
        predictor: the classifier.
        inputs: (N, C, H, W), the images.
        z: (N, D), their latents.
        source: (N,), p: what the classifier takes each image for.
        target: (N,), q.
        direction: (N, D), Delta.
        forward: (N,), evaluations of the classifier so far, the image's among them.
        inverse: (N,), pictures made so far.
    """

    session: Session
    predictor: Predictor
    inputs: Tensor
    z: Tensor
    source: Tensor
    target: Tensor
    direction: Tensor
    forward: Tensor
    inverse: Tensor

    @classmethod
    def towards(
        cls,
        session: Session,
        predictor: Predictor,
        inputs: Tensor,
        z: Tensor,
        source: Tensor,
        target: Tensor,
        class_means: Tensor,
        truncation: float,
    ) -> Lines:
        """Along the difference of two class means (K, D), which truncation brings nearer to q's."""
        direction = class_direction(class_means, source, target)
        direction = truncated_direction(direction, z, class_means[source], truncation)
        forward = torch.ones_like(target)
        return cls(session, predictor, inputs, z, source, target, direction, forward, forward * 0)

    def only(self, index: Tensor) -> Lines:
        """Those of some numbers (M,)."""
        names = ("inputs", "z", "source", "target", "direction", "forward", "inverse")
        chosen = [getattr(self, name)[index] for name in names]
        return Lines(self.session, self.predictor, *chosen)

    def at(self, alpha: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (M, C, H, W) at steps (M,) of some lines (M,), and probabilities (M, K)."""
        latents = torch.addcmul(self.z[index], alpha.unsqueeze(1), self.direction[index])
        pictures = self.session.decode(latents)
        return pictures, self.predictor(round_to_8_bits(pictures))

    def search(self, confidence: float | None, *, before_every_class: bool) -> Found:
        """The smallest steps at which the classifier says q.

        Args:
            confidence: the probability that q is to have; None for none.
            before_every_class: whether q is to be the likeliest class; otherwise as likely as p.
                Of a classifier that answers with labels, q is to be the answer in both cases.
        """

        def attempt(alpha: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            pictures, seen = self.at(alpha, index)
            p, q = (k[index].unsqueeze(1) for k in (self.source, self.target))
            chance = seen.gather(1, q).squeeze(1)
            passed = seen.argmax(1) == q.squeeze(1)
            if not before_every_class and self.predictor.answers != "labels":
                passed = chance >= seen.gather(1, p).squeeze(1)
            return pictures, seen, passed & (chance >= (confidence or 0.0))

        assert self.predictor.num_classes is not None  # it has been asked
        found = first_passing_step(attempt, self.inputs, self.predictor.num_classes)
        self.forward += found.attempts
        self.inverse += found.attempts
        return found

    def turn(self, network: GenerativeClassifier, index: Tensor) -> None:
        r"""Turn lines (M,) by the classifier's own gradient, where the class means end.

        .. math::
            \Delta' = \Delta + \frac{|\Delta|}{|g|} g, \qquad
            g = \nabla_z \log \frac{p(q|f^{-1}(z))}{p(p|f^{-1}(z))} \Big|_{z + \Delta}

        It costs one evaluation and one gradient, which count as two, and one picture.

        Args:
            network: the flow's, whose inverse has gradients.
            index: of the lines.
        """
        for chunk in index.split(self.session.chunk_size):
            ends = (self.z[chunk] + self.direction[chunk]).requires_grad_()
            with torch.enable_grad():
                said = self.predictor.log_probabilities(network.decode(ends, clamp=False))
                gap = said.gather(1, self.target[chunk].unsqueeze(1))
                gap = gap - said.gather(1, self.source[chunk].unsqueeze(1))
                (slope,) = torch.autograd.grad(gap.sum(), ends)
            lengths = [v.norm(dim=1, keepdim=True) for v in (self.direction[chunk], slope)]
            self.direction[chunk] += slope * lengths[0] / lengths[1].clamp_min(1e-12)
        self.forward[index] += 2
        self.inverse[index] += 1
