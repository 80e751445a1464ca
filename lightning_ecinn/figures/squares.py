"""Squares of pictures side by side, one for each model (Figure 10)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.canvas import titled_figure
from lightning_ecinn.figures.grid import show_picture
from lightning_ecinn.figures.text import LABEL, drawable, line_height, verbatim

__all__ = ["picture_squares"]

_SIDE = 1.6
"""Side of a square, in inches like everything here."""
_GAP = 0.12
_IN_A_ROW = 4


@verbatim
def picture_squares(
    squares: Sequence[Tensor], labels: Sequence[str], *, title: str | None = None
) -> Figure:
    """The same pictures several times, each time in rows and columns of their own.

    Args:
        squares: pictures (N, C, H, W) in [0, 1] each, C = 1 or 3; a picture of NaN stays white.
        labels: text above each square; may have several lines.
        title: text above everything; broken into lines where it is long.

    Raises:
        ValueError: without squares, or for another number of labels.

    Example:
        >>> squares = [torch.zeros(9, 1, 28, 28), torch.ones(9, 1, 28, 28)]
        >>> figure = picture_squares(squares, ["input", "β = 1"])
        >>> len(figure.axes)
        2
    """
    if not squares or len(squares) != len(labels):
        raise ValueError(
            f"There are {len(squares)} squares and {len(labels)} labels: give as many."
        )
    columns = min(len(squares), _IN_A_ROW)
    above = 0.05 + line_height(LABEL) * max(label.count("\n") + 1 for label in labels)
    rows = math.ceil(len(squares) / columns)
    width = columns * (_SIDE + _GAP) + _GAP
    figure, (width, height) = titled_figure(width, rows * (above + _SIDE) + _GAP, title)
    for number, (square, label) in enumerate(zip(squares, labels, strict=True)):
        row, column = divmod(number, columns)
        left = (_GAP + column * (_SIDE + _GAP)) / width
        bottom = (_GAP + (rows - 1 - row) * (above + _SIDE)) / height
        axes = figure.add_axes((left, bottom, _SIDE / width, _SIDE / height))
        show_picture(axes, _tiled(square), "")
        y = 1 + 0.03 / _SIDE
        axes.text(
            0.5, y, _drawable_lines(label), transform=axes.transAxes, ha="center", fontsize=LABEL
        )
    return figure


def _drawable_lines(text: str) -> str:
    """A text of several lines in letters that the font has."""
    return "\n".join(map(drawable, text.split("\n")))


def _tiled(pictures: Tensor) -> Tensor:
    """Pictures (N, C, H, W) as one (C, H', W'), with white lines of a pixel between them."""
    number, channels, height, width = pictures.shape
    side = math.ceil(math.sqrt(number))
    rows = math.ceil(number / side)
    tiled = torch.ones(channels, rows * (height + 1) - 1, side * (width + 1) - 1)
    for i, picture in enumerate(pictures.detach().float().cpu().nan_to_num(1.0)):
        y, x = (i // side) * (height + 1), (i % side) * (width + 1)
        tiled[:, y : y + height, x : x + width] = picture
    return tiled
