"""What this machine can do at best: matrix products, the network's own convolutions, copies."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Table, interleaved

__all__ = ["best_convolution", "flops", "run"]

_DIGITS = ((64, 7), (32, 14))
"""Hidden channels and side of each stage of the paper's MNIST network."""
_TYPES = (torch.float32, torch.bfloat16)
_LAYOUTS = (torch.contiguous_format, torch.channels_last)


@dataclass
class Work:
    """Something to do, and how much it is.

    Attributes:
        label: operation, type, layout, direction.
        amount: in 1e9 operations, 2 for a multiplication with an addition, or in 1e9 bytes.
        function: does it.
    """

    label: list[str]
    amount: float
    function: Callable[[], Any]


def run(quick: bool = False) -> list[Table]:
    """The machine's rates of arithmetic and of copying."""
    size, batch, repeats = (64, 2, 1) if quick else (4096, 128, 15)
    products = [_matrix_product(size, dtype) for dtype in _TYPES]
    labels = ["operation", "type", "layout", "direction"]
    arithmetic = Table("Arithmetic", [*labels, "GFLOP/s (median)", "GFLOP/s (best)"])
    arithmetic.rows = _rates(products, -(-repeats // 3))
    arithmetic.rows += _rates(
        _convolutions(batch, _DIGITS, _TYPES, ("forward", "backward")), repeats
    )
    arithmetic.notes = [
        "A multiplication with an addition counts as 2. Backward: the gradients of the input and "
        "of the weights, twice the work of the forward pass. Products and convolutions come from "
        "different libraries (MKL and oneDNN, say): the convolutions can be the faster ones."
    ]
    copy = Table("A large copy", ["megabytes", "GB/s (median)", "GB/s (best)"])
    copy.rows = _rates([_copy(1 if quick else 512)], repeats)
    copy.notes = ["Each byte counts twice: read once, written once."]
    return [arithmetic, copy]


def best_convolution(
    batch: int, stages: Sequence[tuple[int, int]] = _DIGITS, repeats: int = 15
) -> float:
    """The fastest float32 forward convolution, 3x3, of a network's own shapes, in GFLOP/s.

    Args:
        batch: images.
        stages: hidden channels and side of each stage; by default the paper's for MNIST.
        repeats: calls of each, of which the median counts.
    """
    works = _convolutions(batch, stages, (torch.float32,), ("forward",))
    return max(row[-2] for row in _rates(works, repeats))


def flops(function: Callable[[], Any]) -> int:
    """Floating point operations of products and convolutions, 2 for each multiply-add."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def _rates(works: Sequence[Work], repeats: int) -> list[list[Any]]:
    """The label of each work and how much of it is done per second, median and best."""
    seconds = interleaved({str(k): work.function for k, work in enumerate(works)}, repeats)
    return [
        [*work.label, work.amount / statistics.median(times), work.amount / min(times)]
        for work, times in zip(works, seconds.values(), strict=True)
    ]


def _matrix_product(size: int, dtype: torch.dtype) -> Work:
    a, b = (torch.randn(size, size, dtype=dtype) for _ in range(2))
    label = [f"matrix product {size}^3", _name(dtype), "-", "forward"]
    return Work(label, 2 * size**3 / 1e9, lambda: a @ b)


def _convolutions(
    batch: int,
    stages: Sequence[tuple[int, int]],
    dtypes: Sequence[torch.dtype],
    directions: Sequence[str],
) -> list[Work]:
    return [
        _convolution(batch, *stage, dtype, layout, direction)
        for stage in stages
        for dtype in dtypes
        for layout in _LAYOUTS
        for direction in directions
    ]


def _convolution(
    batch: int,
    channels: int,
    side: int,
    dtype: torch.dtype,
    layout: torch.memory_format,
    direction: str,
) -> Work:
    x = torch.randn(batch, channels, side, side, dtype=dtype).to(memory_format=layout)
    weight = torch.randn(channels, channels, 3, 3, dtype=dtype).to(memory_format=layout)
    gradient = torch.randn_like(x)
    settings: tuple[Any, ...] = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)  # padding 1, one group

    def forward() -> None:
        with torch.no_grad():
            torch.conv2d(x, weight, padding=1)

    def backward() -> None:
        wanted = [True, True, False]  # of the input, of the weights, of a bias
        torch.ops.aten.convolution_backward(gradient, x, weight, None, *settings, wanted)

    operation = f"convolution 3x3, {channels} to {channels}, {batch}x{side}x{side}"
    work = 2 * 9 * batch * channels**2 * side**2 / 1e9
    label = [operation, _name(dtype), _name(layout), direction]
    if direction == "backward":
        return Work(label, 2 * work, backward)
    return Work(label, work, forward)


def _copy(megabytes: int) -> Work:
    source = torch.ones(megabytes * 10**6 // 4)
    target = torch.empty_like(source)
    return Work([str(megabytes)], 2 * megabytes / 1000, lambda: target.copy_(source))


def _name(setting: torch.dtype | torch.memory_format) -> str:
    return str(setting).removeprefix("torch.").removesuffix("_format")
