"""A plane of the latent space: a direction between two classes, and what varies most beside it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LatentPlane"]


@dataclass(frozen=True)
class LatentPlane:
    """A plane of the latent space, in its units; everything is float64 on the CPU.

    Attributes:
        origin: (D,), where the coordinates are 0.
        axes: (2, D), orthonormal.
        share: of the variance beside the first axis that the second one carries, in (0, 1].

    Example:
        >>> z = torch.tensor([[0.0, 1.0, 5.0], [0.0, -1.0, 5.0], [4.0, 3.0, 5.0], [4.0, -3.0, 5.0]])
        >>> plane = LatentPlane.between(z[:2].mean(0), z[2:].mean(0), z)
        >>> plane.axes.tolist(), plane.share
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 1.0)
        >>> plane.project(z).tolist()
        [[-2.0, 1.0], [-2.0, -1.0], [2.0, 3.0], [2.0, -3.0]]
    """

    origin: Tensor
    axes: Tensor
    share: float

    @classmethod
    def between(cls, mean_source: Tensor, mean_target: Tensor, z: Tensor) -> LatentPlane:
        """The plane through two class means (D,) and along what varies most beside their line.

        The origin is half way, the first axis leads from the source to the target, the second is
        the first principal direction of the latents once the first axis is projected out.

        Args:
            mean_source: class mean of p, (D,).
            mean_target: that of q, (D,).
            z: (N, D), latents of images of both classes.

        Raises:
            ValueError: the means are equal, or the latents differ nowhere beside their line.
        """
        mean_source, mean_target, z = map(_exact, (mean_source, mean_target, z))
        delta = mean_target - mean_source
        if not delta.norm() > 0:
            raise ValueError("The two class means are equal: there is no direction between them.")
        first, origin = delta / delta.norm(), (mean_source + mean_target) / 2
        centred = z - z.mean(0)
        rest = centred - torch.outer(centred @ first, first)
        if not rest.norm() > 1e-12 * centred.norm():  # negated: one latent has nothing of either
            raise ValueError(
                f"The latents of {len(z)} images differ nowhere beside the line through the two "
                "class means: give more images of both classes."
            )
        second, share = _principal_direction(rest)
        second = second - (second @ first) * first  # what rounding has left of it
        return cls(origin, torch.stack((first, second / second.norm())), share)

    def project(self, z: Tensor) -> Tensor:
        """Coordinates (..., 2) of the points of the plane that are nearest to latents (..., D)."""
        return (_exact(z) - self.origin) @ self.axes.T

    def boundary(self, mu_source: Tensor, mu_target: Tensor, through: Tensor) -> Tensor:
        r"""Where two classes are equally likely in the parallel plane through a latent.

        .. math:: w^T (z + (x - P z) A - \tfrac12 (\mu_p + \mu_q)) = 0, \qquad w = \mu_q - \mu_p

        with the axes A and the coordinates P z: as w lies in no such plane in general, the line
        of another parallel plane is a parallel one.

        Args:
            mu_source: the mixture's component mean of p, (D,).
            mu_target: that of q, (D,).
            through: z, (D,).

        Returns:
            (a, b, c), (3,), of the line a x_1 + b x_2 + c = 0; q is likelier where it is positive.
        """
        mu_source, mu_target, z = map(_exact, (mu_source, mu_target, through))
        w = mu_target - mu_source
        normal = self.axes @ w
        offset = w @ (z - (mu_source + mu_target) / 2) - normal @ self.project(z)
        return torch.cat((normal, offset.unsqueeze(0)))


def _exact(values: Tensor) -> Tensor:
    return values.detach().cpu().double()


def _principal_direction(rest: Tensor) -> tuple[Tensor, float]:
    """The direction (D,) in which centred latents (N, D) vary most, and its share of the variance.

    From the smaller of the two matrices of inner products. Its largest entry is positive.
    """
    wide = rest.shape[0] < rest.shape[1]
    variances, directions = torch.linalg.eigh(rest @ rest.T if wide else rest.T @ rest)
    found = rest.T @ directions[:, -1] if wide else directions[:, -1]
    found = found / found.norm()
    return found * found[found.abs().argmax()].sign(), (variances[-1] / variances.sum()).item()
