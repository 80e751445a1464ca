"""What a critic learns: to tell counterfactuals from images of their class, in pairs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_ecinn.models.critic import Critic

__all__ = ["PENALTY_EVERY", "criticise", "dithered", "mean", "other", "partners", "pick"]

PENALTY, PENALTY_EVERY = 0.0006, 8
"""Weight of the critic's squared gradient at images and counterfactuals, and in which steps it is
taken (R1 and R2 of Mescheder et al., arXiv 1801.04406, "lazy" as in Karras et al., 1912.04958)."""


def criticise(
    critic: Critic,
    real: Tensor,
    labels: Tensor,
    fake: Tensor,
    target: Tensor,
    partner: Tensor,
    paired: Tensor,
) -> tuple[Tensor, Tensor]:
    """The critic's loss, a scalar, and its scores of the partners, (B',), for the network's.

    Args:
        critic: whose.
        real: pictures (B, C, H, W); where they need gradients, these are penalised.
        labels: (B,).
        fake: counterfactuals (B', C, H, W), no part of the network's graph.
        target: (B',).
        partner: an image of the target for each, (B',) indices.
        paired: (B',) bool, where there is one.
    """
    scores = critic(real)
    own = pick(scores, labels)
    others = pick(scores, other(labels, scores.shape[1]))
    made = pick(critic(fake), target)
    loss = mean(F.softplus(made - own[partner]), paired) + F.softplus(others - own).mean() / 2
    if real.requires_grad:
        weight = PENALTY * PENALTY_EVERY / 2
        for score, pictures in ((own, real), (made, fake)):
            (slope,) = torch.autograd.grad(score.sum(), pictures, create_graph=True)
            loss = loss + weight * slope.square().flatten(1).sum(1).mean()
    return loss, own[partner].detach()


def dithered(pictures: Tensor) -> Tensor:
    """Pictures with uniform noise of one grey level: rounding to 8 bits is no give-away."""
    return pictures + (torch.rand_like(pictures) - 0.5) / 255


def other(classes: Tensor, num_classes: int) -> Tensor:
    """One class other than `classes` (B,) each, drawn uniformly."""
    return (classes + 1 + torch.randint_like(classes, num_classes - 1)) % num_classes


def pick(scores: Tensor, classes: Tensor) -> Tensor:
    """Scores (B,) of classes (B,) among those of all, (B, K)."""
    return scores.gather(1, classes.unsqueeze(1)).squeeze(1)


def partners(labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """For each target (B',) an image of that label (B,), drawn: indices (B',), and where none is.

    The second is bool, (B',): true where there is one; elsewhere any image is.
    """
    same = labels.unsqueeze(0) == target.unsqueeze(1)
    return torch.multinomial(same + 1e-9, 1).squeeze(1), same.any(1)


def mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of values (B,) where chosen; 0 where none is."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
