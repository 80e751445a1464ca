"""The ordinary networks inside the coupling blocks: they need not be invertible."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

__all__ = ["conv_subnet", "linear_subnet", "strided_subnet"]

# The original IB-INN sets momentum 0.999, so that its running statistics are those of the last
# batch. With 0.1 validation during training means something; after training the statistics are
# estimated again over the training set.
_batch_norm = partial(nn.BatchNorm2d, eps=1e-4, momentum=0.1)


def conv_subnet(
    in_channels: int,
    out_channels: int,
    *,
    width: int,
    dropout: float = 0.0,
    leading_relu: bool = True,
) -> nn.Sequential:
    """Convolutional subnet of a coupling block, resolution kept.

    [ReLU] - conv 3x3 - BN - ReLU - conv 3x3 - BN - ReLU - dropout - conv 1x1.

    Args:
        in_channels: channels of the passive half.
        out_channels: scales and translations together.
        width: hidden channels.
        dropout: probability that a whole hidden channel is dropped.
        leading_relu: left out where the input is the picture itself.
    """
    layers: list[nn.Module] = [nn.ReLU()] if leading_relu else []
    layers += [
        nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
        _batch_norm(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        _batch_norm(width),
        nn.ReLU(inplace=True),
        nn.Dropout2d(dropout),
        nn.Conv2d(width, out_channels, 1),
    ]
    return _initialised(nn.Sequential(*layers))


def strided_subnet(in_channels: int, out_channels: int, *, width: int) -> nn.Sequential:
    """Subnet of a downsampling block that halves the resolution (stride 2, no dropout)."""
    return _initialised(
        nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
            _batch_norm(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            _batch_norm(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, out_channels, 1),
        )
    )


def linear_subnet(
    in_features: int, out_features: int, *, width: int, dropout: float = 0.0
) -> nn.Sequential:
    """Subnet of the fully connected coupling: linear - ReLU - dropout - linear."""
    return _initialised(
        nn.Sequential(
            nn.Linear(in_features, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, out_features),
            _FullPrecision(),
        )
    )


class _FullPrecision(nn.Module):
    """Makes float32 of what autocast has computed in 16 bits, as FrEIA's couplings sum it up."""

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, F) in float32, or in float64 as they are."""
        return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _initialised(net: nn.Sequential) -> nn.Sequential:
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.Linear):
            with torch.no_grad():
                layer.weight.mul_(0.1)
    return net
