"""Put blocks together into the flow of IB-INN."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import FrEIA.modules as Fm
import torch
from FrEIA.framework import SequenceINN
from torch import Tensor, nn

from lightning_ecinn.flows.blocks import CouplingBlock, DownsamplingCoupling
from lightning_ecinn.flows.subnets import conv_subnet, linear_subnet, strided_subnet
from lightning_ecinn.flows.transforms import (
    DCTPooling,
    FixedPermutation,
    Flattening,
    HaarDownsampling,
)

__all__ = ["ib_inn"]

_FC_CLAMP = 2.0


def ib_inn(
    image_shape: Sequence[int],
    *,
    blocks: Sequence[int] = (24, 24),
    widths: Sequence[int] = (32, 64),
    dropouts: Sequence[float] = (0.0, 0.25),
    fc_blocks: int = 1,
    fc_width: int = 1024,
    fc_dropout: float = 0.5,
    clamp: float = 0.7,
    init_scale: float = 0.8,
    haar: bool | None = None,
    haar_gain: float = 1.0,
    dct: bool = True,
    zero_init: bool = False,
) -> SequenceINN:
    """Build the invertible network of IB-INN (Ardizzone et al. 2020).

    The defaults are the ECINN paper's network for 1x28x28. Its network for 3x64x64 is
    ``blocks=(8, 24, 24), widths=(16, 32, 64), dropouts=(0, 0, 0.25), init_scale=0.75``.

    Args:
        image_shape: (C, H, W), square.
        blocks: coupling blocks in each stage; between stages a downsampling block.
        widths: hidden channels of the subnets in each stage.
        dropouts: dropout of the subnets in each stage.
        fc_blocks: fully connected coupling blocks at the end.
        fc_width: their hidden width.
        fc_dropout: their dropout.
        clamp: bound of abs(log s) in every convolutional coupling.
        init_scale: scale of every coupling block before training.
        haar: begin with a Haar transform; by default only for pictures of one channel.
        haar_gain: factor of its detail coefficients.
        dct: end with IB-INN's DCT pooling; without it feature maps are only flattened, so that
            each latent stays at its place in the picture.
        zero_init: begin with couplings that change nothing, the last layer of every subnet zero
            (Glow, Kingma and Dhariwal 2018); else with IB-INN's random ones.

    Returns:
        A flow: ``flow(v)`` gives latents (B, D) and log_det (B,); ``flow(z, rev=True)`` inverts.

    Raises:
        ValueError: if the shapes or the lists' lengths do not fit.
    """
    image_shape = _checked_shape(image_shape)
    _check_stages(blocks, widths, dropouts)
    flow = SequenceINN(*image_shape)
    if image_shape[0] == 1 if haar is None else haar:
        flow.append(HaarDownsampling, gain=haar_gain)
    on_picture = len(flow.module_list) == 0
    for stage, (count, width, dropout) in enumerate(zip(blocks, widths, dropouts, strict=True)):
        if stage > 0:
            _append_downsampling(flow, widths[stage - 1], dropouts[stage - 1], clamp)
        for k in range(count):
            first = on_picture and stage == 0 and k == 0
            subnet = partial(conv_subnet, width=width, dropout=dropout, leading_relu=not first)
            flow.append(CouplingBlock, subnet=subnet, clamp=clamp, init_scale=init_scale)
    flow.append(DCTPooling if dct else Flattening)
    for k in range(fc_blocks):
        flow.append(FixedPermutation, seed=k)
        fc_subnet = partial(linear_subnet, width=fc_width, dropout=fc_dropout)
        flow.append(
            Fm.GLOWCouplingBlock,
            subnet_constructor=fc_subnet,
            clamp=_FC_CLAMP,
            clamp_activation=_soft_clamp,
        )
    if zero_init:
        _silence_subnets(flow)
    return flow


def _silence_subnets(flow: SequenceINN) -> None:
    for subnet in flow.modules():
        if isinstance(subnet, nn.Sequential):
            last = [layer for layer in subnet if isinstance(layer, nn.Conv2d | nn.Linear)][-1]
            for parameter in last.parameters():
                nn.init.zeros_(parameter)


def _soft_clamp(a: Tensor) -> Tensor:
    """FrEIA's soft clamp as IB-INN was trained with it: log s = c 0.636 atan(a / c)."""
    return 0.636 * torch.atan(a / _FC_CLAMP)


def _append_downsampling(flow: SequenceINN, width: int, dropout: float, clamp: float) -> None:
    flow.append(
        DownsamplingCoupling,
        subnet_high=partial(strided_subnet, width=2 * width),
        subnet_low=partial(conv_subnet, width=2 * width, dropout=dropout, leading_relu=False),
        clamp=clamp,
    )


def _checked_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    shape = tuple(int(side) for side in image_shape)
    if len(shape) != 3 or min(shape) < 1 or shape[1] != shape[2]:
        raise ValueError(
            f"image_shape must be (channels, side, side), got {tuple(image_shape)}: crop or pad "
            "the images to squares."
        )
    return shape


def _check_stages(*lists: Sequence) -> None:
    if len({len(values) for values in lists}) != 1 or not lists[0]:
        lengths = ", ".join(str(len(values)) for values in lists)
        raise ValueError(
            "blocks, widths and dropouts need one entry per stage each, got "
            f"{lengths} entries: give lists of the same length."
        )
