"""Training with memory flat in depth: the backward pass computes the activations again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, groupby
from typing import Any

import torch
from FrEIA.framework import SequenceINN
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import get_device_states, set_device_states

from lightning_ecinn.flows.blocks import CouplingBlock, DownsamplingCoupling

__all__ = ["reversible"]

# Inverting magnifies rounding errors: before training by 0.8^-48 = 45,000 over the paper's 48
# blocks, by 6 over 8. So the exact output of every 8th block is kept; it is small beside the
# activations inside one block.
_LENGTH = 8


def reversible(flow: SequenceINN, v: Tensor) -> tuple[Tensor, Tensor]:
    """The value of ``flow(v)``, without keeping the activations of its blocks for the gradient.

    The backward pass inverts the coupling blocks one by one and evaluates each subnet once more
    (Gomez et al. 2017, The Reversible Residual Network): a third more arithmetic, memory flat in
    depth. Dropout is repeated, batch norm counts each batch once, and the gradients are those of
    ``flow(v)`` up to rounding.

    Where inverting is not exact, blocks are computed again from their inputs, which are kept: in
    downsampling blocks, and in all of them below float32 or under autocast (16-bit subnets don't
    give the same output again for an input that is off in its last digit). What is no coupling
    block on feature maps is differentiated as usual.

    Args:
        flow: the network.
        v: (B, C, H, W), its inputs.

    Returns:
        z (B, D) and log_det (B,), which can be differentiated once, not twice.

    Example:
        >>> from lightning_ecinn.flows import ib_inn
        >>> flow = ib_inn((1, 8, 8), blocks=[1, 1], fc_blocks=0)
        >>> reversible(flow, torch.rand(2, 1, 8, 8))[0].shape
        torch.Size([2, 64])
    """
    if not torch.is_grad_enabled():
        return flow(v)
    exact = v.dtype in (torch.float32, torch.float64)
    exact = exact and not torch.is_autocast_enabled(v.device.type)
    total: Any = 0
    for blocks, invert in _segments(flow, exact):
        if isinstance(blocks[0], CouplingBlock | DownsamplingCoupling):
            trained = chain.from_iterable(map(_trained, blocks))
            v, *log_dets = _Segment.apply(blocks, invert, v, *trained)
        else:
            (v,), *log_dets = blocks[0]((v,))
        for log_det in log_dets:
            total = log_det + total
    return v, total


def _segments(flow: SequenceINN, exact: bool) -> Iterator[tuple[list[nn.Module], bool]]:
    """The modules in order, each with whether to invert it; up to 8 blocks to invert at once."""
    for kind, run in groupby(flow, type):
        blocks, invert = list(run), exact and kind is CouplingBlock
        length = _LENGTH if invert else 1
        for start in range(0, len(blocks), length):
            yield blocks[start : start + length], invert


def _trained(block: nn.Module) -> list[nn.Parameter]:
    return [p for p in block.parameters() if p.requires_grad]


class _Segment(Function):
    """Consecutive blocks as one step of autograd that keeps its output, or its input.

    Parameters are inputs of the step, so that whatever hangs on their gradients works as usual:
    accumulation, hooks, the exchange between processes.
    """

    @staticmethod
    def forward(
        ctx: Any, blocks: list[nn.Module], invert: bool, v: Tensor, *trained: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.blocks, ctx.invert, ctx.random = blocks, invert, []
        ctx.autocast = _autocast(v)
        y, log_dets = v, []
        with torch.autocast(**ctx.autocast):
            for block in blocks:
                ctx.random.append((torch.get_rng_state(), *get_device_states(v)))
                (y,), log_det = block((y,))
                log_dets.append(log_det)
        # Parameters too: autograd then refuses a backward pass after they have been changed.
        ctx.save_for_backward(y if invert else v, *trained)
        return y, *log_dets

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *grads_log_det: Tensor) -> tuple[Tensor | None, ...]:
        feature_map, *_ = ctx.saved_tensors
        # Room for the gradients first: in between they would leave holes in the CPU's heap that
        # the activations of the next block don't fit in, and memory would grow with depth.
        found: list[list[Any]] = [
            [torch.empty_like(p) for p in _trained(block)] for block in ctx.blocks
        ]
        for k in reversed(range(len(found))):
            feature_map, grad, found[k] = _step_back(
                ctx, k, feature_map, (grad, grads_log_det[k]), found[k]
            )
        return None, None, grad, *chain.from_iterable(found)


def _step_back(
    ctx: Any, k: int, feature_map: Tensor, grads: tuple[Tensor, Tensor], room: list[Any]
) -> tuple[Tensor, Tensor, list[Any]]:
    """From the gradients at one block's output to those at its input and of its parameters.

    Args:
        ctx: of the segment.
        k: the block's number in it.
        feature_map: its output if it is to be inverted, otherwise its input.
        grads: of its output and log-determinant.
        room: where to put the gradients of its parameters.

    Returns:
        The block's input, the gradient of it, and those of the parameters, None for unused ones.
    """
    block = ctx.blocks[k]
    with (
        _same_random(feature_map, *ctx.random[k]),
        _same_statistics(block),
        torch.autocast(**ctx.autocast),
    ):
        parts, *outputs = (_from_output if ctx.invert else _from_input)(block, feature_map)
    leaves = (*parts, *_trained(block))
    found = torch.autograd.grad(outputs, leaves, grads, allow_unused=True)
    pairs = zip(room, found[len(parts) :], strict=True)
    kept = [None if new is None else place.copy_(new) for place, new in pairs]
    return torch.cat(parts, dim=1).detach(), torch.cat(found[: len(parts)], dim=1), kept


def _from_input(block: nn.Module, x: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """The block's input as a leaf, its output and log-determinant with their graph."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        (y,), log_det = block((x,))
    return (x,), y, log_det


def _from_output(block: CouplingBlock, y: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Any]:
    """Both halves of the input as leaves, output and log-determinant with their graph.

    The inverse and the graph need the subnet at the same x1: it is evaluated once.
    """
    x1, u2 = block.mixing(rev=True).of(y)[0].split(block.splits, dim=1)
    x1 = x1.detach().requires_grad_()
    with torch.enable_grad():
        a = block.subnet(x1)
    x2 = block.affine(u2, a.detach(), rev=True)[0].requires_grad_()
    with torch.enable_grad():
        u2, log_det = block.affine(x2, a, rev=False)
        y, log_det_mix = block.mixing(rev=False).of(torch.cat((x1, u2), dim=1))
        return (x1, x2), y, log_det + log_det_mix


def _autocast(v: Tensor) -> dict[str, Any]:
    """The present settings; a cache could hand weights cast without a graph to later calls."""
    kind = v.device.type
    return {
        "device_type": kind,
        "enabled": torch.is_autocast_enabled(kind),
        "dtype": torch.get_autocast_dtype(kind),
        "cache_enabled": False,
    }


@contextmanager
def _same_random(
    v: Tensor, cpu: Tensor, devices: list[int], states: list[Tensor]
) -> Iterator[None]:
    """Draw the random numbers of the forward pass again; afterwards go on as if nothing were."""
    kind = v.device.type
    with torch.random.fork_rng(devices, device_type=kind):
        torch.set_rng_state(cpu)
        set_device_states(devices, states, device_type=kind)
        yield


@contextmanager
def _same_statistics(block: nn.Module) -> Iterator[None]:
    """Normalise as the forward pass did, and leave the running statistics alone."""
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
