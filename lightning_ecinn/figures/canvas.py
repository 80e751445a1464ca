"""What figures begin with: a canvas with a title, their colours, a check of the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.text import TITLE, line_height, wrapped

__all__ = [
    "BLUE",
    "BLUE_TO_RED",
    "RED",
    "blank_figure",
    "check_numbers",
    "draw_frame",
    "titled_figure",
]

BLUE, RED = "#2166ac", "#b2182b"
BLUE_TO_RED = "RdBu_r"
"""The colour map of signed numbers: blue below 0, red above."""


def blank_figure(width: float, height: float, title: Sequence[str]) -> Figure:
    """A white figure of a size in inches with the lines of its title at the top."""
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.5, 1 - 0.06 / height, "\n".join(title), ha="center", va="top", fontsize=TITLE)
    return figure


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
