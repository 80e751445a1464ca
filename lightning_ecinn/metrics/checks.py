"""What every measure asks of what it measures: a sentence instead of NaN or torch's error."""

from __future__ import annotations

import math
from numbers import Integral, Real

import torch
from torch import Tensor

__all__ = [
    "broadcastable",
    "finite",
    "is_number",
    "is_whole",
    "one_class_each",
    "one_column",
    "same_pictures",
    "same_shape",
]

_TOLERANCE = 0.01  # of pictures that an inverse has brought a little out of [0, 1]
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def is_number(value: object) -> bool:
    """Whether it is a real number, of Python or NumPy."""
    return isinstance(value, Real)


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or NumPy."""
    return isinstance(value, Integral)


def finite(values: Tensor, what: str) -> Tensor:
    """The values, unless they are no dense tensor of finite real numbers.

    Raises:
        ValueError: says what they are.
    """
    if not isinstance(values, Tensor):
        raise ValueError(f"{what} must be a torch.Tensor, got {type(values).__name__}.")
    if values.layout != torch.strided or values.is_meta or values.is_complex():
        raise ValueError(f"{what} must be a dense tensor of real numbers, got {values.dtype}.")
    if not values.isfinite().all():
        raise ValueError(
            f"{what} must be finite, got NaN or infinity: leave out what is not defined."
        )
    return values


def same_pictures(x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Two batches of pictures in float64.

    Raises:
        ValueError: unless both are (B, C, H, W) of one shape, float in [0, 1].
    """
    x, c = same_shape(x, c)
    if any(v.numel() and (v.min() < -_TOLERANCE or v.max() > 1 + _TOLERANCE) for v in (x, c)):
        raise ValueError(
            "Pictures to measure must lie in [0, 1], got values from "
            f"{min(x.min(), c.min()):g} to {max(x.max(), c.max()):g}."
        )
    return x, c


def same_shape(x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Two batches of pictures or heatmaps in float64.

    Raises:
        ValueError: unless both are (B, C, H, W) of one shape, float and finite.
    """
    pictures = "Pictures to measure"
    if isinstance(x, Tensor) and isinstance(c, Tensor) and (x.ndim != 4 or x.shape != c.shape):
        raise ValueError(
            f"{pictures} must be (B, C, H, W) of one shape, got {tuple(x.shape)} and "
            f"{tuple(c.shape)}."
        )
    x, c = finite(x, pictures), finite(c, pictures)
    if not (x.is_floating_point() and c.is_floating_point()):
        raise ValueError(
            f"{pictures} must be float in [0, 1], got {x.dtype} and {c.dtype}: divide "
            "8-bit ones by 255."
        )
    if not math.prod(x.shape[1:]):
        raise ValueError(f"{pictures} must have pixels, got {tuple(x.shape)}.")
    return x.double(), c.double()


def one_class_each(a: Tensor, b: Tensor, what: str) -> None:
    """Refuse classes that are no whole numbers, or not as many.

    Raises:
        ValueError: says what they are.
    """
    for classes in (a, b):
        if not isinstance(classes, Tensor) or classes.dtype not in _WHOLE:
            kind = classes.dtype if isinstance(classes, Tensor) else type(classes).__name__
            raise ValueError(f"{what} must be tensors of whole numbers, got {kind}.")
    if a.shape != b.shape:
        raise ValueError(
            f"{what} must be one class for each counterfactual, got shapes {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )


def one_column(values: Tensor, what: str) -> Tensor:
    """The values (N,), finite.

    Raises:
        ValueError: they are not.
    """
    if isinstance(values, Tensor) and values.ndim != 1:
        raise ValueError(f"{what} must be (N,), got shape {tuple(values.shape)}.")
    return finite(values, what)


def broadcastable(mask: Tensor, heatmap: Tensor) -> Tensor:
    """A mask like the heatmap.

    Raises:
        ValueError: it is no bool tensor that broadcasts to it.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(f"A mask must be a bool tensor, got {kind}: compare it with 0.")
    try:
        return mask.expand_as(heatmap)
    except RuntimeError:
        raise ValueError(
            f"A mask of shape {tuple(mask.shape)} does not fit heatmaps of shape "
            f"{tuple(heatmap.shape)}: give (B, C or 1, H, W)."
        ) from None
