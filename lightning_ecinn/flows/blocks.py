"""Coupling blocks of IB-INN (Ardizzone et al. 2020) as FrEIA modules.

Both follow FrEIA's convention: ``forward((x,), rev=False)`` returns ``((y,), log_det)`` with
``log_det`` (B,) the log absolute determinant of d(output)/d(input) in nats, summed over
dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import FrEIA.modules as Fm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_ecinn.flows.fixed_matrix import FixedMatrix, without_autocast
from lightning_ecinn.flows.transforms import _check_even

__all__ = ["CouplingBlock", "DownsamplingCoupling"]

Dims = Sequence[tuple[int, ...]]
Subnet = Callable[[int, int], nn.Module]


def _affine(x: Tensor, a: Tensor, clamp: float, slope: float, rev: bool) -> tuple[Tensor, Tensor]:
    """Y = x exp(log s) + t with log s = clamp tanh(slope a_s), or its inverse.

    Args:
        x: (B, C, H, W), the half to change.
        a: (B, 2C, H, W), the subnet's output: scales, then translations.
        clamp: bound of abs(log s).
        slope: how fast the bound is approached.
        rev: whether to invert.

    Returns:
        y (B, C, H, W) and log_det (B,).
    """
    # Of lower precision under autocast; laid out like x, which the steps below are faster for.
    a_scale, translation = a.to(x.dtype).contiguous().chunk(2, dim=1)
    log_scale = clamp * torch.tanh(slope * a_scale)
    log_det = log_scale.sum(dim=(1, 2, 3))
    if rev:
        return (x - translation) * torch.exp(-log_scale), -log_det
    return torch.addcmul(translation, x, torch.exp(log_scale)), log_det


class CouplingBlock(Fm.InvertibleModule):
    r"""Affine coupling, fixed rotation of the channels, trained scale and offset.

    Split the channels into x1 (C - floor(C/2)) and x2 (floor(C/2)); with
    (a, t) = subnet(x1), u2 = x2 exp(clamp tanh(a / 10)) + t and u = [x1, u2],

    .. math:: y = (W u) \exp(g) + o,

    W a fixed random matrix in SO(C) acting on channels. The log-determinant is
    sum(log s) + H W sum(g).

    Args:
        dims_in: one tuple (C, H, W).
        dims_c: conditions; none are supported.
        subnet: ``subnet(in_channels, out_channels)`` builds the inner network.
        clamp: bound of abs(log s).
        init_scale: exp(g) at the beginning.
    """

    def __init__(
        self,
        dims_in: Dims,
        dims_c: Dims | None = None,
        *,
        subnet: Subnet,
        clamp: float = 0.7,
        init_scale: float = 0.8,
    ):
        super().__init__(dims_in, dims_c)
        channels = dims_in[0][0]
        _check_channels(channels)
        if init_scale <= 0:
            raise ValueError(f"init_scale must be positive, got {init_scale}.")
        self.splits = (channels - channels // 2, channels // 2)
        self.clamp = clamp
        self.subnet = subnet(self.splits[0], 2 * self.splits[1])
        shape = (1, channels, 1, 1)
        self.log_scale = nn.Parameter(torch.full(shape, float(init_scale)).log())
        self.offset = nn.Parameter(torch.zeros(shape))
        self.rotation = FixedMatrix(random_rotation(channels))

    def forward(
        self, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """Map (B, C, H, W) to the same shape, or back."""
        (x,) = x
        log_det_scale = (self.log_scale.sum() + self.rotation.log_abs_det) * x.shape[2:].numel()
        if rev:
            inverse = self.rotation.inverse * torch.exp(-self.log_scale.view(1, -1))
            u = _pointwise(inverse, x - self.offset)
            x1, u2 = u.split(self.splits, dim=1)
            x2, log_det = _affine(u2, self.subnet(x1), self.clamp, 0.1, rev=True)
            return (torch.cat((x1, x2), dim=1),), log_det - log_det_scale
        x1, x2 = x.split(self.splits, dim=1)
        u2, log_det = _affine(x2, self.subnet(x1), self.clamp, 0.1, rev=False)
        # exp(g) scales the rows of W: one product instead of two steps.
        matrix = self.rotation.matrix * torch.exp(self.log_scale.view(-1, 1))
        y = _pointwise(matrix, torch.cat((x1, u2), dim=1), self.offset)
        return (y,), log_det + log_det_scale

    def output_dims(self, input_dims: Dims) -> Dims:
        """Unchanged."""
        return input_dims


class DownsamplingCoupling(Fm.InvertibleModule):
    """Coupling between halves that halves the resolution: (C, H, W) to (4C, H/2, W/2).

    Split into x1 (floor(C/2) channels) and x2 (the rest); with space-to-depth ``down``,

        y2 = affine(down(x2); subnet_high(x1)),  y1 = affine(down(x1); subnet_low(y2)),

    where log s = clamp tanh(a / 5).

    Args:
        dims_in: one tuple (C, H, W), H and W even.
        dims_c: conditions; none are supported.
        subnet_high: builds the network from full to half resolution.
        subnet_low: builds the network at half resolution.
        clamp: bound of abs(log s).
    """

    def __init__(
        self,
        dims_in: Dims,
        dims_c: Dims | None = None,
        *,
        subnet_high: Subnet,
        subnet_low: Subnet,
        clamp: float = 0.7,
    ):
        super().__init__(dims_in, dims_c)
        _check_even(dims_in[0])
        channels = dims_in[0][0]
        _check_channels(channels)
        self.splits = (channels // 2, channels - channels // 2)
        self.clamp = clamp
        low, high = self.splits
        self.subnet_high = subnet_high(low, 8 * high)
        self.subnet_low = subnet_low(4 * high, 8 * low)

    def forward(
        self, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], Tensor]:
        """Map (B, C, H, W) to (B, 4C, H/2, W/2), or back."""
        (x,) = x
        if rev:
            y1, y2 = x.split([4 * split for split in self.splits], dim=1)
            x1, log_det1 = _affine(y1, self.subnet_low(y2), self.clamp, 0.2, rev=True)
            x1 = F.pixel_shuffle(x1, 2)
            x2, log_det2 = _affine(y2, self.subnet_high(x1), self.clamp, 0.2, rev=True)
            return (torch.cat((x1, F.pixel_shuffle(x2, 2)), dim=1),), log_det1 + log_det2
        x1, x2 = x.split(self.splits, dim=1)
        y2, log_det2 = _affine(
            F.pixel_unshuffle(x2, 2), self.subnet_high(x1), self.clamp, 0.2, rev=False
        )
        y1, log_det1 = _affine(
            F.pixel_unshuffle(x1, 2), self.subnet_low(y2), self.clamp, 0.2, rev=False
        )
        return (torch.cat((y1, y2), dim=1),), log_det1 + log_det2

    def output_dims(self, input_dims: Dims) -> list[tuple[int, int, int]]:
        """Four times the channels at half the resolution."""
        channels, height, width = input_dims[0]
        return [(4 * channels, height // 2, width // 2)]


def _check_channels(channels: int) -> None:
    if channels < 2:
        raise ValueError(
            f"A coupling block needs at least 2 channels to split, got {channels}: let the "
            "flow begin with Haar downsampling (haar: true)."
        )


def random_rotation(channels: int) -> Tensor:
    """A random matrix in SO(C), uniform (Haar measure), from torch's global generator."""
    q, r = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))
    q = q * r.diagonal().sign()
    if torch.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    return q.to(torch.get_default_dtype())


def _pointwise(matrix: Tensor, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply the channels of x (B, C, H, W) by a matrix (C', C); add a bias (1, C', 1, 1).

    A product and not a 1x1 convolution: on CUDA convolutions round float32 to 10 bits by default
    (TF32), too coarse for an inverse, and on the CPU they are several times slower.
    """
    matrices = matrix.expand(len(x), -1, -1)
    with without_autocast(x):
        if bias is None:
            y = torch.bmm(matrices, x.flatten(2))
        else:
            y = torch.baddbmm(bias.flatten(2), matrices, x.flatten(2))
    return y.view(len(x), -1, *x.shape[2:])
