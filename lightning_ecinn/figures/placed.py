"""Pictures, bars and texts at places of a figure, without axes, which take most of the time."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import BboxImage
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox, TransformedBbox

from lightning_ecinn.figures.text import CAPTION, drawable

__all__ = ["Place", "add_bar", "add_picture", "write_below"]

Place: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, width and height, in shares of the figure."""


def add_picture(figure: Figure, place: Place, pixels: np.ndarray) -> Place:
    """Pixels in the middle of a place, as large as they fit, in a thin frame: it may be white.

    Args:
        figure: where to.
        place: what they are to fit into.
        pixels: (H, W, 3), uint8.

    Returns:
        Where they are.
    """
    place = _fitted(figure, place, *pixels.shape[:2])
    box = TransformedBbox(Bbox.from_bounds(*place), figure.transFigure)
    image = BboxImage(box, interpolation="nearest", origin="upper")
    image.set_data(pixels)
    figure.add_artist(image)
    add_bar(figure, place, fill=False, edgecolor="0.8", linewidth=0.5)
    return place


def add_bar(figure: Figure, place: Place, **style: Any) -> None:
    """A rectangle, without a border unless the style has one."""
    left, bottom, width, height = place
    style = {"linewidth": 0, **style}
    figure.add_artist(
        Rectangle((left, bottom), width, height, transform=figure.transFigure, **style)
    )


def write_below(figure: Figure, place: Place, share: float, text: str, **style: Any) -> None:
    """A caption below a place, at a share of its width."""
    left, bottom, width, height = place
    style = {"va": "top", "fontsize": CAPTION, **style}
    figure.text(left + share * width, bottom - 0.04 * height, drawable(text), **style)


def _fitted(figure: Figure, place: Place, rows: int, columns: int) -> Place:
    """The middle of a place, in the proportions of a picture."""
    left, bottom, width, height = place
    across, up = figure.get_size_inches() * (width, height)
    scale = min(across / columns, up / rows)
    inner_width, inner_height = width * scale * columns / across, height * scale * rows / up
    return (
        left + (width - inner_width) / 2,
        bottom + (height - inner_height) / 2,
        inner_width,
        inner_height,
    )
