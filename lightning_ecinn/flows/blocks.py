"""Coupling blocks of IB-INN (Ardizzone et al. 2020) as FrEIA modules.

Both follow FrEIA's convention: ``forward((x,), rev=False)`` returns ``((y,), log_det)`` with
``log_det`` (B,) the log absolute determinant of d(output)/d(input) in nats, summed over
dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import FrEIA.modules as Fm
import torch
from torch import Tensor, nn

from lightning_ecinn.flows.coupling import (
    DOWNSAMPLING_SLOPE,
    SLOPE,
    LogDet,
    Mixing,
    affine,
    coupling,
    downsampling,
    mixing,
)
from lightning_ecinn.flows.fixed_matrix import FixedMatrix
from lightning_ecinn.flows.transforms import check_even

__all__ = ["CouplingBlock", "DownsamplingCoupling"]

Dims = Sequence[tuple[int, ...]]
Subnet = Callable[[int, int], nn.Module]


class _Coupling(Fm.InvertibleModule):
    """What both kinds have: their affine map, by its bound and slope."""

    clamp: float
    slope: float

    def affine(self, x: Tensor, a: Tensor, rev: bool, jac: bool = True) -> tuple[Tensor, LogDet]:
        """The half x (B, C, H, W) changed by a (B, 2C, H, W), or its inverse; log_det (B,)."""
        return affine(x, a, clamp=self.clamp, slope=self.slope, rev=rev, jac=jac)


class CouplingBlock(_Coupling):
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

    Example:
        >>> block = CouplingBlock([(4, 8, 8)], subnet=lambda c, out: nn.Conv2d(c, out, 1))
        >>> x = torch.rand(2, 4, 8, 8)
        >>> (y,), log_det = block((x,))
        >>> (back,), log_det_back = block((y,), rev=True)
        >>> torch.allclose(back, x, atol=1e-5), torch.allclose(log_det_back, -log_det)
        (True, True)
    """

    slope = SLOPE

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
    ) -> tuple[tuple[Tensor], LogDet]:
        """Map (B, C, H, W) to the same shape, or back."""
        (x,) = x
        y, log_det = coupling(x, self.subnet, self.splits, self.affine, self.mixing(rev))
        return (y,), log_det

    def mixing(self, rev: bool) -> Mixing:
        """Rotation, scale and offset as one linear map of the channels, or its inverse."""
        return mixing(self.rotation, self.log_scale, self.offset, rev)

    def output_dims(self, input_dims: Dims) -> Dims:
        """Unchanged."""
        return input_dims


class DownsamplingCoupling(_Coupling):
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

    Example:
        >>> block = DownsamplingCoupling(
        ...     [(4, 8, 8)],
        ...     subnet_high=lambda c, out: nn.Conv2d(c, out, 2, stride=2),
        ...     subnet_low=lambda c, out: nn.Conv2d(c, out, 1),
        ... )
        >>> (y,), log_det = block((torch.rand(2, 4, 8, 8),))
        >>> y.shape, log_det.shape
        (torch.Size([2, 16, 4, 4]), torch.Size([2]))
    """

    slope = DOWNSAMPLING_SLOPE

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
        check_even(dims_in[0])
        channels = dims_in[0][0]
        _check_channels(channels)
        self.splits = (channels // 2, channels - channels // 2)
        self.clamp = clamp
        low, high = self.splits
        self.subnet_high = subnet_high(low, 8 * high)
        self.subnet_low = subnet_low(4 * high, 8 * low)

    def forward(
        self, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[tuple[Tensor], LogDet]:
        """Map (B, C, H, W) to (B, 4C, H/2, W/2), or back."""
        (x,) = x
        y, log_det = downsampling(x, self.subnets, self.splits, self.affine, rev)
        return (y,), log_det

    @property
    def subnets(self) -> tuple[nn.Module, nn.Module]:
        """Of high and of low resolution."""
        return self.subnet_high, self.subnet_low

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
    q, r = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64, device="cpu"))
    q = q * r.diagonal().sign()
    if torch.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    return q.to(torch.get_default_dtype())
