"""Fixed invertible transforms: Haar wavelets, DCT pooling and permutations.

All follow FrEIA's convention: ``forward((x,), rev=False)`` returns ``((y,), log_det)`` with
``log_det`` the log absolute determinant of d(output)/d(input) in nats: here a number, the same for
every sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import FrEIA.modules as Fm
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_ecinn.flows.fixed_matrix import FixedMatrix, without_autocast

__all__ = ["DCTPooling", "FixedPermutation", "Flattening", "HaarDownsampling", "check_even"]

Dims = Sequence[tuple[int, ...]]
Output = tuple[tuple[Tensor], float]


class HaarDownsampling(Fm.HaarDownsampling):
    """FrEIA's orthonormal Haar wavelet downsampling, (C, H, W) to (4C, H/2, W/2).

    The package's own inverse scales its input in place; this one leaves it alone. It is a matrix
    product over 2x2 blocks and not a convolution, which CUDA rounds to 10 bits by default (TF32).

    Args:
        dims_in: one tuple (C, H, W), H and W even.
        dims_c: conditions; none are supported.
        gain: the three detail coefficients of every channel are multiplied by it. In smooth
            pictures they are much smaller than the averages that the next block mixes them with.

    Example:
        >>> (y,), log_det = HaarDownsampling([(1, 2, 2)])((torch.ones(1, 1, 2, 2),))
        >>> y.flatten(), log_det
        (tensor([2., 0., 0., 0.]), 0.0)
    """

    gains: Tensor

    def __init__(self, dims_in: Dims, dims_c: Dims | None = None, gain: float = 1.0):
        check_even(dims_in[0])
        if not gain > 0:
            raise ValueError(f"The gain of the Haar details must be positive, got {gain}.")
        super().__init__(dims_in, dims_c, order_by_wavelet=False, rebalance=1.0)
        gains = torch.tensor([1.0, gain, gain, gain]).view(4, 1)
        self.register_buffer("gains", gains, persistent=False)
        self.log_det = 3 * math.log(gain) * math.prod(dims_in[0]) / 4

    def forward(
        self, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> Output:
        """Map (B, C, H, W) to (B, 4C, H/2, W/2), or back."""
        (x,) = x
        wavelets = self.haar_weights[:4].view(4, 4) / 2  # symmetric: its own inverse
        wavelets = wavelets / self.gains.T if rev else wavelets * self.gains
        blocks = x if rev else F.pixel_unshuffle(x, 2)
        with without_autocast(x):
            y = wavelets @ blocks.unflatten(1, (self.in_channels, 4)).flatten(3)
        y = y.view(blocks.shape)
        return ((F.pixel_shuffle(y, 2),), -self.log_det) if rev else ((y,), self.log_det)


class DCTPooling(Fm.InvertibleModule):
    r"""Two-dimensional DCT-II of every channel, flattened: (C, N, N) to (C N N,).

    Along both spatial axes the unnormalised DCT-II
    :math:`M_{ki} = 2 \cos(\pi k (2i + 1) / 2N)`; the result is divided by :math:`4 (N + 1)` and
    flattened in the order (width frequency, height frequency, channel), so that the lowest
    frequencies of all channels come first, as in IB-INN. Its exact log-determinant is
    :math:`C N^2 \log \frac{N}{2 (N + 1)} + C N \log 2`.

    Example:
        >>> (y,), _ = DCTPooling([(1, 2, 2)])((torch.ones(1, 1, 2, 2),))
        >>> y.round(decimals=4).abs()
        tensor([[1.3333, 0.0000, 0.0000, 0.0000]])
    """

    def __init__(self, dims_in: Dims, dims_c: Dims | None = None):
        super().__init__(dims_in, dims_c)
        channels, height, width = dims_in[0]
        if height != width:
            raise ValueError(
                f"The DCT needs square feature maps, got {height}x{width}: use square images."
            )
        self.channels, self.size = channels, width
        k = torch.arange(width, dtype=torch.float64, device="cpu")
        dct = 2 * torch.cos(math.pi * k[:, None] * (2 * k + 1) / (2 * width))
        self.dct = FixedMatrix(dct)
        self.scale = 1 / (4 * (width + 1))

    @property
    def log_det(self) -> float:
        """The same for every input, in nats."""
        per_channel = self.size * math.log(self.scale) + 2 * self.dct.log_abs_det
        return self.channels * self.size * per_channel

    def forward(
        self, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> Output:
        """Map (B, C, N, N) to (B, C N N), or back."""
        (x,) = x
        if rev:
            maps = x.reshape(-1, self.size, self.size, self.channels).permute(0, 3, 2, 1)
            return (self._transformed(maps / self.scale, self.dct.inverse),), -self.log_det
        maps = self._transformed(x * self.scale, self.dct.matrix)
        return (maps.permute(0, 3, 2, 1).reshape(x.shape[0], -1),), self.log_det

    def _transformed(self, maps: Tensor, matrix: Tensor) -> Tensor:
        with without_autocast(maps):
            return matrix @ maps @ matrix.T

    def output_dims(self, input_dims: Dims) -> list[tuple[int]]:
        """One vector of C N N entries."""
        return [(math.prod(input_dims[0]),)]


class Flattening(Fm.InvertibleModule):
    """Feature maps as vectors: (C, H, W) to (C H W,), in any memory format.

    Example:
        >>> (y,), _ = Flattening([(4, 2, 2)])((torch.zeros(3, 4, 2, 2),))
        >>> y.shape
        torch.Size([3, 16])
    """

    def forward(
        self, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> Output:
        """Map (B, C, H, W) to (B, C H W), or back."""
        (x,) = x
        return (x.reshape(-1, *self.dims_in[0]) if rev else x.flatten(1),), 0.0

    def output_dims(self, input_dims: Dims) -> list[tuple[int]]:
        """One vector of C H W entries."""
        return [(math.prod(input_dims[0]),)]


class FixedPermutation(Fm.InvertibleModule):
    """A fixed random permutation of a vector: numpy's ``RandomState(seed).permutation(D)``.

    FrEIA's ``PermuteRandom`` gives the same permutation, but reseeds numpy's global generator.

    Example:
        >>> (y,), _ = FixedPermutation([(5,)], seed=0)((torch.arange(5.0)[None],))
        >>> y
        tensor([[2., 0., 1., 3., 4.]])
    """

    permutation: Tensor
    inverse: Tensor

    def __init__(self, dims_in: Dims, dims_c: Dims | None = None, seed: int = 0):
        super().__init__(dims_in, dims_c)
        permutation = torch.from_numpy(np.random.RandomState(seed).permutation(dims_in[0][0]))
        self.register_buffer("permutation", permutation, persistent=False)
        self.register_buffer("inverse", torch.argsort(permutation), persistent=False)

    def forward(
        self, x: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> Output:
        """Permute (B, D)."""
        (x,) = x
        return (x[:, self.inverse if rev else self.permutation],), 0.0

    def output_dims(self, input_dims: Dims) -> Dims:
        """Unchanged."""
        return input_dims


def check_even(dims: tuple[int, ...]) -> None:
    """Refuse feature maps (C, H, W) that cannot be halved."""
    _, height, width = dims
    if height % 2 or width % 2:
        raise ValueError(
            f"Downsampling needs an even height and width, got {height}x{width}: use fewer "
            "stages, or images whose side is divisible by a power of two."
        )
