"""The affine coupling of IB-INN: its equations, once, for ordinary, folded and reversible flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_ecinn.flows.fixed_matrix import FixedMatrix, without_autocast

__all__ = [
    "DOWNSAMPLING_SLOPE",
    "SLOPE",
    "LogDet",
    "Mixing",
    "affine",
    "affine_",
    "coupling",
    "downsampling",
    "mixing",
    "pointwise",
]

# How fast log s approaches its bound in the two kinds of coupling; both are IB-INN's.
SLOPE = 0.1
DOWNSAMPLING_SLOPE = 0.2

LogDet = Tensor | float  # (B,), or one for every sample, in nats

Subnet = Callable[[Tensor], Tensor]
Affine = Callable[..., tuple[Tensor, LogDet]]


def affine(
    x: Tensor, a: Tensor, *, clamp: float, slope: float, rev: bool, jac: bool = True
) -> tuple[Tensor, LogDet]:
    """Y = x exp(log s) + t with log s = clamp tanh(slope a_s), or its inverse.

    Args:
        x: (B, C, H, W), the half to change.
        a: (B, 2C, H, W), the subnet's output: scales, then translations.
        clamp: bound of abs(log s).
        slope: how fast the bound is approached.
        rev: whether to invert.
        jac: whether the log-determinant is asked for; else it is 0.

    Returns:
        y (B, C, H, W) and log_det (B,).

    Example:
        >>> x, a = torch.ones(1, 1, 1, 1), torch.tensor([0.0, 3.0]).view(1, 2, 1, 1)
        >>> y, log_det = affine(x, a, clamp=0.7, slope=SLOPE, rev=False)
        >>> y.item(), log_det.item()
        (4.0, 0.0)
    """
    # Of lower precision under autocast; laid out like x, which the steps below are faster for.
    a_scale, translation = a.to(x.dtype).contiguous().chunk(2, dim=1)
    log_scale = (-clamp if rev else clamp) * torch.tanh(slope * a_scale)
    log_det = log_scale.sum(dim=(1, 2, 3)) if jac else 0.0
    if rev:
        return (x - translation) * torch.exp(log_scale), log_det
    return torch.addcmul(translation, x, torch.exp(log_scale)), log_det


def affine_(
    x: Tensor, a: Tensor, *, clamp: float, rev: bool, jac: bool = True
) -> tuple[Tensor, LogDet]:
    """`affine` in place of x and without gradients, for a subnet that has the slope in its a_s.

    Written again because it is faster: `affine` costs the whole folded flow 5 % for one picture.
    """
    a_scale, translation = a.contiguous().chunk(2, dim=1)
    log_scale = torch.tanh(a_scale).mul_(-clamp if rev else clamp)
    log_det = log_scale.sum((1, 2, 3)) if jac else 0.0
    if rev:
        return x.sub_(translation).mul_(log_scale.exp_()), log_det
    return torch.addcmul(translation, x, log_scale.exp_(), out=x), log_det


class Mixing(NamedTuple):
    """Y = M (u - b) + o at every pixel.

    Attributes:
        matrix: M (C, C).
        before: b (1, C, 1, 1), None for 0.
        after: o (1, C, 1, 1), None for 0.
        log_det: of M, in nats.
        rev: whether this map is itself an inverse.
    """

    matrix: Tensor
    before: Tensor | None
    after: Tensor | None
    log_det: LogDet
    rev: bool

    def of(self, x: Tensor) -> tuple[Tensor, LogDet]:
        """Y (B, C, H, W) and log_det, of x of the same shape.

        Not ``__call__``: PyTorch 2.9 compiles no call of a tuple.
        """
        u = x if self.before is None else x - self.before
        *_, height, width = x.shape
        return pointwise(self.matrix, u, self.after), self.log_det * (height * width)

    def folded(self) -> Mixing:
        """The same map in one step, with what costs time for each picture computed once."""
        after = self.after
        if self.before is not None:
            moved = -pointwise(self.matrix, self.before)
            after = moved if after is None else after + moved
        kept = None if after is None else after.clone()
        return Mixing(self.matrix, None, kept, float(self.log_det), self.rev)


def mixing(rotation: FixedMatrix, log_scale: Tensor, offset: Tensor, rev: bool) -> Mixing:
    """Y = (W u) exp(g) + o, or its inverse, as one product: exp(g) scales the rows of W.

    Args:
        rotation: W.
        log_scale: g (1, C, 1, 1).
        offset: o (1, C, 1, 1).
        rev: whether to invert.
    """
    log_det = log_scale.sum() + rotation.log_abs_det
    if rev:
        inverse = rotation.inverse * torch.exp(-log_scale.view(1, -1))
        return Mixing(inverse, offset, None, -log_det, rev)
    return Mixing(rotation.matrix * torch.exp(log_scale.view(-1, 1)), None, offset, log_det, rev)


def pointwise(matrix: Tensor, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply the channels of x (B, C, H, W) by a matrix (C', C); add a bias (1, C', 1, 1).

    A product and not a 1x1 convolution: on CUDA convolutions round float32 to 10 bits by default
    (TF32), too coarse for an inverse, and on the CPU they are several times slower.
    """
    batch = x.shape[0]  # not len(x), which torch.export takes for a constant
    matrices = matrix.expand(batch, -1, -1)
    with without_autocast(x):
        if bias is None:
            y = torch.bmm(matrices, x.flatten(2))
        else:
            y = torch.baddbmm(bias.flatten(2), matrices, x.flatten(2))
    return y.view(batch, -1, *x.shape[2:])


def coupling(
    x: Tensor,
    subnet: Subnet,
    splits: tuple[int, int],
    affine: Affine,
    mix: Mixing,
    jac: bool = True,
) -> tuple[Tensor, LogDet]:
    """Mix [x1, affine(x2; subnet(x1))]; or the inverse, where the mixing is one.

    Args:
        x: (B, C, H, W); the forward map changes it if `affine` works in place.
        subnet: a of x1.
        splits: channels of x1 and x2.
        affine: `affine` or `affine_` with its settings.
        mix: how channels are mixed, by the same in each direction.
        jac: whether the log-determinant is asked for.
    """
    log_det_mix: LogDet = 0.0
    if mix.rev:
        x, log_det_mix = mix.of(x)
    x1, x2 = x.split(splits, dim=1)
    y2, log_det = affine(x2, subnet(x1), rev=mix.rev, jac=jac)
    y = x if y2 is x2 else torch.cat((x1, y2), dim=1)
    if not mix.rev:
        y, log_det_mix = mix.of(y)
    return y, log_det + log_det_mix


def downsampling(
    x: Tensor,
    subnets: tuple[Subnet, Subnet],
    splits: tuple[int, int],
    affine: Affine,
    rev: bool,
    jac: bool = True,
) -> tuple[Tensor, LogDet]:
    """Y2 = affine(down(x2); high(x1)), then y1 = affine(down(x1); low(y2)); or the inverse.

    Args:
        x: (B, C, H, W); the inverse changes it if `affine` works in place.
        subnets: high and low, by the resolution of what they see.
        splits: channels of x1 and x2.
        affine: `affine` or `affine_` with its settings.
        rev: whether to invert.
        jac: whether the log-determinant is asked for.
    """
    high, low = subnets
    if rev:
        y1, y2 = x.split([4 * split for split in splits], dim=1)
        x1, log_det1 = affine(y1, low(y2), rev=True, jac=jac)
        x1 = F.pixel_shuffle(x1, 2)
        x2, log_det2 = affine(y2, high(x1), rev=True, jac=jac)
        return torch.cat((x1, F.pixel_shuffle(x2, 2)), dim=1), log_det1 + log_det2
    x1, x2 = x.split(splits, dim=1)
    y2, log_det2 = affine(F.pixel_unshuffle(x2, 2), high(x1), rev=False, jac=jac)
    y1, log_det1 = affine(F.pixel_unshuffle(x1, 2), low(y2), rev=False, jac=jac)
    return torch.cat((y1, y2), dim=1), log_det1 + log_det2
