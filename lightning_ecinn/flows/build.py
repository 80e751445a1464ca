"""Put blocks together into the flow of IB-INN."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import index
from typing import Any

import FrEIA.modules as Fm
import torch
from FrEIA.framework import SequenceINN
from torch import Tensor, nn

from lightning_ecinn.flows.blocks import CouplingBlock, DownsamplingCoupling
from lightning_ecinn.flows.settings import FlowSettings, check_names
from lightning_ecinn.flows.subnets import conv_subnet, linear_subnet, strided_subnet
from lightning_ecinn.flows.transforms import (
    DCTPooling,
    FixedPermutation,
    Flattening,
    HaarDownsampling,
)

__all__ = ["checked_shape", "ib_inn"]

_FC_CLAMP = 2.0


def ib_inn(image_shape: Sequence[int], **network: Any) -> SequenceINN:
    """Build the invertible network of IB-INN (Ardizzone et al. 2020).

    Args:
        image_shape: (C, H, W), square.
        **network: fields of `FlowSettings`.

    Returns:
        A flow: ``flow(v)`` gives latents (B, D) and log_det (B,); ``flow(z, rev=True)`` inverts.

    Raises:
        TypeError: if there is no setting of a name.
        ValueError: if the shapes or the lists' lengths do not fit.

    Example:
        >>> small = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0, 0], "fc_blocks": 0}
        >>> flow = ib_inn((1, 8, 8), **small).double().eval()
        >>> v = torch.rand(2, 1, 8, 8, dtype=torch.float64)
        >>> z, log_det = flow(v)
        >>> z.shape, log_det.shape
        (torch.Size([2, 64]), torch.Size([2]))
        >>> torch.allclose(flow(z, rev=True)[0], v)
        True
    """
    check_names(FlowSettings, "ib_inn", network)
    settings = FlowSettings(**network)
    image_shape = checked_shape(image_shape)
    flow = SequenceINN(*image_shape)
    if image_shape[0] == 1 if settings.haar is None else settings.haar:
        flow.append(HaarDownsampling, gain=settings.haar_gain)
    _append_stages(flow, settings)
    flow.append(DCTPooling if settings.dct else Flattening)
    _append_dense(flow, settings)
    if settings.zero_init:
        _silence_subnets(flow)
    return flow


def _append_stages(flow: SequenceINN, settings: FlowSettings) -> None:
    on_picture = len(flow.module_list) == 0
    stages = zip(settings.blocks, settings.widths, settings.dropouts, strict=True)
    for stage, (count, width, dropout) in enumerate(stages):
        if stage > 0:
            _append_downsampling(flow, settings, stage - 1)
        for k in range(count):
            first = on_picture and stage == 0 and k == 0
            flow.append(
                CouplingBlock,
                subnet=partial(conv_subnet, width=width, dropout=dropout, leading_relu=not first),
                clamp=settings.clamp,
                init_scale=settings.init_scale,
            )


def _append_downsampling(flow: SequenceINN, settings: FlowSettings, stage: int) -> None:
    width, dropout = 2 * settings.widths[stage], settings.dropouts[stage]
    flow.append(
        DownsamplingCoupling,
        subnet_high=partial(strided_subnet, width=width),
        subnet_low=partial(conv_subnet, width=width, dropout=dropout, leading_relu=False),
        clamp=settings.clamp,
    )


def _append_dense(flow: SequenceINN, settings: FlowSettings) -> None:
    for k in range(settings.fc_blocks):
        flow.append(FixedPermutation, seed=k)
        flow.append(
            Fm.GLOWCouplingBlock,
            subnet_constructor=partial(
                linear_subnet, width=settings.fc_width, dropout=settings.fc_dropout
            ),
            clamp=_FC_CLAMP,
            clamp_activation=_soft_clamp,
        )


def _silence_subnets(flow: SequenceINN) -> None:
    for subnet in flow.modules():
        if isinstance(subnet, nn.Sequential):
            last = [layer for layer in subnet if isinstance(layer, nn.Conv2d | nn.Linear)][-1]
            for parameter in last.parameters():
                nn.init.zeros_(parameter)


def _soft_clamp(a: Tensor) -> Tensor:
    """FrEIA's soft clamp as IB-INN was trained with it: log s = c 0.636 atan(a / c)."""
    return 0.636 * torch.atan(a / _FC_CLAMP)


def checked_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, H, W) of square pictures, or a ValueError."""
    try:
        shape = tuple(index(side) for side in image_shape)
    except TypeError:
        raise ValueError(
            f"image_shape must be three whole numbers (channels, side, side), got {image_shape!r}."
        ) from None
    if len(shape) != 3 or min(shape) < 1 or shape[1] != shape[2]:
        raise ValueError(
            f"image_shape must be (channels, side, side), got {tuple(image_shape)}: crop or pad "
            "the images to squares."
        )
    return shape
