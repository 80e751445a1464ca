"""Pictures in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    TITLE,
    fitted_labels,
    line_height,
    text_width,
    wrapped,
)

__all__ = ["magnified", "picture_grid", "show_picture"]

_SIDE = 0.82
"""Height of one picture, in inches like everything here."""
_GAP = 0.05


def picture_grid(
    pictures: Sequence[Sequence[Tensor | None]],
    *,
    row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
    captions: Sequence[Sequence[str]] | None = None,
    title: str | None = None,
    gap: float = _GAP,
) -> Figure:
    """Pictures in rows and columns.

    Args:
        pictures: rows of pictures (C, H, W) in [0, 1], C = 1 or 3; None leaves a cell empty.
        row_labels: text left of each row.
        column_labels: text above each column; broken into lines where it is long.
        captions: text below each picture.
        title: text above everything; broken into lines where it is long.
        gap: space between columns, inches.

    Returns:
        The figure, on an Agg canvas: no display is needed.
    """
    num_columns = max(len(row) for row in pictures)
    shape = next(picture.shape for row in pictures for picture in row if picture is not None)
    cell_width = _SIDE * shape[2] / shape[1]
    cell_height = _SIDE + (line_height(CAPTION) + 0.04 if captions else 0)
    left = 0.1 + max((0.1 + text_width(label, LABEL) for label in row_labels or []), default=0)
    width = left + num_columns * (cell_width + gap) + 0.05
    title_lines = wrapped(title or "", width - 0.2, TITLE)
    column_lines, label_size, label_height = fitted_labels(column_labels or [], cell_width)
    top = 0.1 + line_height(TITLE) * len(title_lines) + label_height
    height = top + len(pictures) * (cell_height + _GAP) + 0.05

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(
        0.5, 1 - 0.06 / height, "\n".join(title_lines), ha="center", va="top", fontsize=TITLE
    )
    for j, lines in enumerate(column_lines):
        x = (left + j * (cell_width + gap) + cell_width / 2) / width
        y = 1 - (top - 0.04) / height
        figure.text(x, y, "\n".join(lines), ha="center", va="bottom", fontsize=label_size)
    for i, row in enumerate(pictures):
        bottom = 1 - (top + i * (cell_height + _GAP) + _SIDE) / height
        if row_labels:
            x, y = (left - 0.06) / width, bottom + _SIDE / 2 / height
            figure.text(x, y, row_labels[i], ha="right", va="center", fontsize=LABEL)
        for j, picture in enumerate(row):
            x = (left + j * (cell_width + gap)) / width
            axes = figure.add_axes((x, bottom, cell_width / width, _SIDE / height))
            show_picture(axes, picture, captions[i][j] if captions else "")
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

    Raises:
        ValueError: if the part is not inside the picture.
    """
    if not (0 < height <= picture.shape[1] and 0 < width <= picture.shape[2]):
        raise ValueError(
            f"The part to magnify must lie inside the picture of {picture.shape[1]} x "
            f"{picture.shape[2]} pixels, got {height} x {width}."
        )
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


def show_picture(axes: Axes, picture: Tensor | None, caption: str) -> None:
    """A picture (C, H, W) in [0, 1], or nothing, with text below, in axes of its own."""
    axes.set_axis_off()
    axes.text(
        0.5, -0.04, caption, transform=axes.transAxes, ha="center", va="top",
        fontsize=CAPTION, color="0.3",
    )  # fmt: skip
    if picture is None:
        return
    pixels = picture.detach().float().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    if pixels.shape[2] == 1:
        axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(pixels, interpolation="nearest")
