"""Tensors to matplotlib figures. Nothing here saves or logs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

__all__ = ["magnified", "picture_grid"]

_CELL = 0.82
"""Side of one picture, inches."""


def picture_grid(
    pictures: Sequence[Sequence[Tensor | None]],
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    captions: Sequence[Sequence[str]] | None = None,
    title: str | None = None,
) -> Figure:
    """Pictures in rows and columns.

    Args:
        pictures: rows of pictures (C, H, W) in [0, 1], C = 1 or 3; None leaves a cell empty.
        row_labels: text left of each row.
        column_labels: text above each column.
        captions: text below each picture.
        title: text above everything.

    Returns:
        The figure, on an Agg canvas: no display is needed.
    """
    num_rows, num_columns = len(pictures), max(len(row) for row in pictures)
    shape = next(picture.shape for row in pictures for picture in row if picture is not None)
    cell = (_CELL * shape[2] / shape[1], _CELL + (0.17 if captions else 0))
    left = 0.12 + 0.075 * max((len(label) for label in row_labels or [""]), default=0)
    top = 0.08 + (0.2 if column_labels else 0) + (0.28 if title else 0)
    width, height = left + num_columns * (cell[0] + 0.05), top + num_rows * (cell[1] + 0.05)
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    if title:
        figure.text(0.5, 1 - 0.08 / height, title, ha="center", va="top", fontsize=9)
    for i, row in enumerate(pictures):
        y = top + i * (cell[1] + 0.05)
        if row_labels:
            x_text, y_text = (left - 0.07) / width, 1 - (y + _CELL / 2) / height
            figure.text(x_text, y_text, row_labels[i], ha="right", va="center", fontsize=8)
        for j, picture in enumerate(row):
            x = left + j * (cell[0] + 0.05)
            if column_labels and i == 0:
                x_text, y_text = (x + cell[0] / 2) / width, 1 - (top - 0.04) / height
                figure.text(x_text, y_text, column_labels[j], ha="center", va="bottom", fontsize=8)
            if picture is None:
                continue
            axes = figure.add_axes(
                (x / width, 1 - (y + _CELL) / height, cell[0] / width, _CELL / height)
            )
            _show(axes, picture)
            if captions and captions[i][j]:
                axes.text(
                    0.5, -0.04, captions[i][j], transform=axes.transAxes, ha="center", va="top",
                    fontsize=6.5, color="0.3",
                )  # fmt: skip
    return figure


def magnified(picture: Tensor, height: int, width: int) -> Tensor:
    """The picture (C, H, W) with its top left pixels enlarged beside it (Figures 3 and 4).

    The enlarged part is as tall as the picture and stands left of it, after a white gap.

    Args:
        picture: (C, H, W) in [0, 1].
        height: rows to enlarge.
        width: columns to enlarge.

    Returns:
        (C, 10 H, W'), ten times as large.
    """
    scale = 10
    side = scale * picture.shape[1]
    large = picture.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    zoom = max(side // height, 1)
    rows = torch.arange(side) * height // side
    detail = picture[:, rows, :width].repeat_interleave(zoom, 2)
    gap = torch.ones(picture.shape[0], side, scale, dtype=picture.dtype)
    return torch.cat((_framed(detail), gap, _framed(large)), dim=2)


def _framed(picture: Tensor) -> Tensor:
    """A thin grey frame, so that a dark picture's border can be seen."""
    framed = picture.clone()
    framed[:, :2], framed[:, -2:], framed[:, :, :2], framed[:, :, -2:] = 0.5, 0.5, 0.5, 0.5
    return framed


def _show(axes, picture: Tensor) -> None:
    pixels = picture.detach().float().cpu().permute(1, 2, 0)
    if pixels.shape[2] == 1:
        axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(pixels.clamp(0, 1), interpolation="nearest")
    axes.set_axis_off()
