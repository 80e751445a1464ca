"""What figures begin with: a canvas with a title, their colours, a check of the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.text import TITLE, line_height, wrapped
from lightning_ecinn.pictures.encode import png_bytes

__all__ = [
    "BLUE",
    "BLUE_TO_RED",
    "RED",
    "agg",
    "blank_figure",
    "check_numbers",
    "draw_frame",
    "drawn",
    "pixels_png",
    "titled_figure",
    "write_title",
]

BLUE, RED = "#2166ac", "#b2182b"
BLUE_TO_RED = "RdBu_r"
"""The colour map of signed numbers: blue below 0, red above."""
_DPI = 150
_FAST = 3
"""Compression of PNG files: 40 % faster than the usual 6, and a tenth larger."""


def blank_figure(width: float, height: float, title: Sequence[str]) -> Figure:
    """A white figure of a size in inches with the lines of its title at the top.

    It shows itself in a notebook, whether or not pyplot is imported there.
    """
    figure: Any = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    # No subclass: W&B takes for a figure what is of a class of matplotlib's own.
    figure._repr_png_ = partial(_as_png, figure)
    write_title(figure, title)
    return figure


def _as_png(figure: Figure) -> bytes:
    return pixels_png(drawn(figure))


def write_title(figure: Figure, lines: Sequence[str]) -> None:
    """The lines of a title at the top."""
    top = 1 - 0.06 / figure.get_figheight()
    figure.text(0.5, top, "\n".join(lines), ha="center", va="top", fontsize=TITLE)


def agg(figure: Figure) -> FigureCanvasAgg:
    """A figure's canvas: of ours it is one without a display."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        return FigureCanvasAgg(figure)
    return figure.canvas


def drawn(figure: Figure) -> np.ndarray:
    """The pixels of a figure, (H, W, 4), uint8."""
    canvas = agg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def pixels_png(pixels: np.ndarray) -> bytes:
    """A PNG file of a figure's pixels (H, W, 4), opaque and quickly written."""
    return png_bytes(pixels[..., :3], compress_level=_FAST, dpi=(_DPI, _DPI))


def titled_figure(
    width: float, body: float, title: str | None
) -> tuple[Figure, tuple[float, float]]:
    """A figure with its title above a body of that height, and its width and height."""
    lines = wrapped(title or "", 0.95 * (width - 0.2), TITLE)
    height = body + 0.1 + line_height(TITLE) * len(lines)
    return blank_figure(width, height, lines), (width, height)


def check_numbers(name: str, values: Tensor) -> None:
    """Refuse what can't be drawn.

    Raises:
        ValueError: for values that are not finite.
    """
    if not values.isfinite().all():
        raise ValueError(f"The {name} must be finite: leave out what could not be computed.")


def draw_frame(axes: Axes) -> None:
    """A thin frame around a picture whose background may be as white as the paper."""
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color="0.8", linewidth=0.5)
