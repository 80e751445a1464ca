"""What every measure of pictures asks of them."""

from __future__ import annotations

from torch import Tensor

__all__ = ["same_pictures"]


def same_pictures(x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Two batches of pictures in float64.

    Raises:
        ValueError: unless both are (B, C, H, W) of one shape, float in [0, 1].
    """
    if x.ndim != 4 or x.shape != c.shape:
        raise ValueError(
            f"Pictures to measure must be (B, C, H, W) of one shape, got {tuple(x.shape)} and "
            f"{tuple(c.shape)}."
        )
    if not (x.is_floating_point() and c.is_floating_point()):
        raise ValueError(
            f"Pictures to measure must be float in [0, 1], got {x.dtype} and {c.dtype}: divide "
            "8-bit ones by 255."
        )
    return x.double(), c.double()
