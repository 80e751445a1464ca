"""How much one part of a loss may say beside another: no more than so many times its gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Balance"]

MOST = 3.0
"""How many times the gradient of the loss itself that of what is added may be."""

EVERY = 8
"""Both are measured in each so many steps: it costs a backward pass more."""

MEMORY = 0.1
"""Weight of a measurement in the running average."""


class Balance(nn.Module):
    """The weight, at most 1, with which an addition's gradient stays below `MOST` times another's.

    How much a step in latent space changes pictures, and so how large gradients through it are,
    depends on the pictures by factors of ten: drawings have flat grounds, photographs have none.
    (As the adaptive weight of VQGAN, Esser et al., arXiv 2012.09841, which makes both equal.)

    Attributes:
        ratio: running average of the ratio of the two gradients' norms; 0 before the first.

    Example:
        >>> x = torch.ones(3, requires_grad=True)
        >>> Balance()(x.sum(), 30 * x.sum(), [x], step=0)
        tensor(0.1000)
    """

    ratio: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ratio", torch.zeros(()))

    def forward(self, own: Tensor, added: Tensor, weights: Sequence[Tensor], step: int) -> Tensor:
        """The weight of `added`, a scalar without gradient.

        Args:
            own: the loss itself, a scalar.
            added: what is added to it.
            weights: whose gradients are compared.
            step: of the training.
        """
        if step % EVERY == 0 or not self.ratio:
            ratio = _gradient(added, weights) / _gradient(own, weights).clamp(min=1e-12)
            if ratio.isfinite():
                self.ratio.lerp_(ratio.clamp(min=1e-3), MEMORY if self.ratio else 1.0)
        return (MOST / self.ratio).clamp(max=1)


def _gradient(loss: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Norm of the loss's gradient with respect to the weights, a scalar."""
    slopes = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return torch.stack([slope.float().norm() for slope in slopes if slope is not None]).norm()
