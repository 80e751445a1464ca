"""The Gaussian mixture over latents that makes a flow a classifier."""

from __future__ import annotations

import math
from operator import index
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["GaussianMixture"]


class GaussianMixture(nn.Module):
    r"""Unit-variance Gaussians, one per class (Eq. 1 and 2 of the ECINN paper).

    .. math::
        \log p(z|y) = -\tfrac12 \|z - \mu_y\|^2 - \tfrac D2 \log 2\pi, \qquad
        \log p(z) = \log \sum_y w_y \, p(z|y), \qquad w = \mathrm{softmax}(\phi)

    The posterior uses a uniform prior, as the paper does, and a temperature T:

    .. math:: p(y|z) \propto p(z|y)^{1 / T}

    T is 1, the paper's, unless it was fitted after training, so that p(y|z) is how often a class
    is right (:func:`lightning_ecinn.models.temperature.fit_temperature`); it changes neither the
    likeliest class nor where two are equally likely. phi enters the training loss and log p(z).

    Attributes:
        temperature: T, a buffer without dimensions.

    Args:
        num_classes: K.
        num_dims: D.

    Example:
        >>> mixture = GaussianMixture(num_classes=2, num_dims=4)
        >>> z = mixture.component_means.detach()  # each at the centre of its class
        >>> mixture.log_posterior(z).argmax(1)
        tensor([0, 1])
        >>> mixture.log_posterior(z.mean(0, keepdim=True)).exp()  # in the middle: a tie
        tensor([[0.5000, 0.5000]], grad_fn=<ExpBackward0>)
    """

    temperature: Tensor

    def __init__(self, num_classes: int, num_dims: int):
        super().__init__()
        try:
            num_classes, num_dims = index(num_classes), index(num_dims)
        except TypeError:
            raise ValueError(
                f"Classes and dimensions are whole numbers, got {num_classes!r} and {num_dims!r}."
            ) from None
        if num_classes < 2 or num_dims < num_classes:
            raise ValueError(
                "A mixture needs at least 2 classes and as many dimensions as classes, got "
                f"{num_classes} classes in {num_dims} dimensions."
            )
        self.component_means = nn.Parameter(_initial_means(num_classes, num_dims))
        self.mixture_logits = nn.Parameter(torch.zeros(num_classes))
        self.register_buffer("temperature", torch.ones(()))

    @property
    def num_classes(self) -> int:
        """K."""
        return self.component_means.shape[0]

    @property
    def num_dims(self) -> int:
        """D."""
        return self.component_means.shape[1]

    @property
    def log_weights(self) -> Tensor:
        """Log w_y, (K,)."""
        return self.mixture_logits.log_softmax(0)

    def logits(self, z: Tensor) -> Tensor:
        """-1/2 ||z - mu_y||^2, (B, K), for latents z (B, D).

        Raises:
            ValueError: for latents of another shape, as all that asks for them.
        """
        self.check(z)
        mu = self.component_means
        squared_norms = z.square().sum(1, keepdim=True) + mu.square().sum(1)
        return self._scores(squared_norms, z)

    def log_prob_given_class(self, z: Tensor) -> Tensor:
        """Log p(z|y), (B, K), in nats."""
        return self.logits(z) - self.num_dims / 2 * math.log(2 * math.pi)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z), (B,), in nats."""
        return torch.logsumexp(self.log_weights + self.log_prob_given_class(z), dim=1)

    def scores(self, z: Tensor) -> Tensor:
        """(z . mu_y - ||mu_y||^2 / 2) / T, (B, K): log p(y|z) up to one number per latent.

        Without ||z||^2, which cancels: in float32 it would hide the small differences.
        """
        self.check(z)
        return self._scores(self.component_means.square().sum(1), z) / self.temperature

    def log_posterior(self, z: Tensor) -> Tensor:
        """Log p(y|z) under a uniform prior (Eq. 2) at the temperature T, (B, K)."""
        return self.scores(z).log_softmax(1)

    def _scores(self, squared_norms: Tensor, z: Tensor) -> Tensor:
        """Scores z . mu_y - squared_norms / 2, (B, K), not rounded to 16 bits by autocast."""
        with torch.autocast(z.device.type, enabled=False):
            return torch.addmm(squared_norms, z, self.component_means.T, beta=-0.5)

    def check(self, z: Tensor) -> None:
        """Raise a ValueError unless z are latents (B, D)."""
        if not isinstance(z, Tensor) or z.shape[1:] != (self.num_dims,) or not z.shape[0]:
            got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise ValueError(f"Latents must be (B, {self.num_dims}), got {got}.")

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Earlier versions' checkpoints have no temperature: it was 1."""
        given = state_dict.setdefault(prefix + "temperature", torch.ones_like(self.temperature))
        if not (given > 0).all():  # a file may state anything
            raise ValueError(f"its temperature is {given.min().item():g}, which is not positive")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def mean_distances(self) -> Tensor:
        """||mu_i - mu_j|| for every pair i < j, (K (K - 1) / 2,)."""
        return torch.nn.functional.pdist(self.component_means)


def _initial_means(num_classes: int, num_dims: int) -> Tensor:
    """mu_y has 5 / sqrt(floor(2D / K)) at positions y, y + K, y + 2K, ..., else 0."""
    scale = 5 / math.sqrt(2 * num_dims // num_classes)
    means = torch.zeros(num_classes, num_dims)
    for start in range(0, num_dims - num_classes + 1, num_classes):
        means[:, start : start + num_classes] = scale * torch.eye(num_classes)
    return means
