"""IM1 and IM2 of Van Looveren and Klaise (2019, arXiv 1907.02584): does c look like its class?"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from lightning_ecinn.metrics.checks import one_class_each, same_pictures

__all__ = ["Reconstructs", "im1", "im2"]

EPSILON = 1e-5


class Reconstructs(Protocol):
    """Autoencoders of each class's images and of all, such as `autoencoders.Autoencoders`."""

    def reconstruct(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """AE_label, or AE for no label, of pictures (B, C, H, W) in [-1/2, 1/2]."""
        ...


@torch.no_grad()
def im1(c: Tensor, source: Tensor, target: Tensor, autoencoders: Reconstructs) -> Tensor:
    r"""How much better class q's autoencoder knows c than class p's: lower is better.

    .. math:: \mathrm{IM1} = \frac{\|c - AE_q(c)\|^2}{\|c - AE_p(c)\|^2 + 10^{-5}}

    Args:
        c: counterfactuals, (B, C, H, W) in [0, 1]; they are shifted to [-1/2, 1/2].
        source: p, (B,).
        target: q, (B,).
        autoencoders: one of each class.

    Returns:
        (B,) float64.
    """
    v = _shifted(c, source, target)
    to_target = _squared(v - autoencoders.reconstruct(v, target))
    to_source = _squared(v - autoencoders.reconstruct(v, source))
    return to_target / (to_source + EPSILON)


@torch.no_grad()
def im2(c: Tensor, target: Tensor, autoencoders: Reconstructs) -> Tensor:
    r"""How far class q's autoencoder is from that of all images: lower is better.

    .. math:: \mathrm{IM2} = \frac{\|AE_q(c) - AE(c)\|^2}{\|c\|_1 + 10^{-5}}

    Args:
        c: counterfactuals, (B, C, H, W) in [0, 1]; they are shifted to [-1/2, 1/2].
        target: q, (B,).
        autoencoders: one of each class and one of all.

    Returns:
        (B,) float64; papers often give 100 times this.
    """
    v = _shifted(c, target, target)
    apart = autoencoders.reconstruct(v, target).double() - autoencoders.reconstruct(v)
    return _squared(apart) / (v.abs().flatten(1).sum(1) + EPSILON)


def _shifted(c: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Pictures in [-1/2, 1/2], float64, that have a source and a target each."""
    pictures, _ = same_pictures(c, c)
    one_class_each(source, target, "source and target")
    if target.shape != c.shape[:1]:
        raise ValueError(f"There are {len(c)} pictures, but classes {tuple(target.shape)}.")
    return pictures - 0.5


def _squared(difference: Tensor) -> Tensor:
    return difference.flatten(1).square().sum(1)
