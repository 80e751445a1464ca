"""Tensors to matplotlib figures. Nothing here saves or logs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from torch import Tensor

__all__ = ["magnified", "picture_grid"]

_SIDE = 0.82
"""Height of one picture, in inches like everything here."""
_GAP = 0.05
_TITLE, _LABEL, _CAPTION = 9, 8, 6.5
"""Font sizes, points."""


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
    cell_height = _SIDE + (_line(_CAPTION) + 0.04 if captions else 0)
    left = 0.1 + max((0.1 + _text_width(label, _LABEL) for label in row_labels or []), default=0)
    width = left + num_columns * (cell_width + gap) + 0.05
    title_lines = _wrapped(title or "", width - 0.2, _TITLE)
    words = " ".join(column_labels or []).split()
    longest = max((_text_width(word, _LABEL) for word in words), default=0)
    label_size = _LABEL * min(max(0.95 * cell_width / (longest or 0.5), 0.65), 1)
    column_lines = [_wrapped(label, cell_width, label_size) for label in column_labels or []]
    label_height = _line(label_size) * max((len(lines) for lines in column_lines), default=0)
    top = 0.1 + _line(_TITLE) * len(title_lines) + label_height
    height = top + len(pictures) * (cell_height + _GAP) + 0.05

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(
        0.5, 1 - 0.06 / height, "\n".join(title_lines), ha="center", va="top", fontsize=_TITLE
    )
    for j, lines in enumerate(column_lines):
        x = (left + j * (cell_width + gap) + cell_width / 2) / width
        y = 1 - (top - 0.04) / height
        figure.text(x, y, "\n".join(lines), ha="center", va="bottom", fontsize=label_size)
    for i, row in enumerate(pictures):
        bottom = 1 - (top + i * (cell_height + _GAP) + _SIDE) / height
        if row_labels:
            x, y = (left - 0.06) / width, bottom + _SIDE / 2 / height
            figure.text(x, y, row_labels[i], ha="right", va="center", fontsize=_LABEL)
        for j, picture in enumerate(row):
            x = (left + j * (cell_width + gap)) / width
            axes = figure.add_axes((x, bottom, cell_width / width, _SIDE / height))
            _show(axes, picture, captions[i][j] if captions else "")
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


def _show(axes: Axes, picture: Tensor | None, caption: str) -> None:
    axes.set_axis_off()
    axes.text(
        0.5, -0.04, caption, transform=axes.transAxes, ha="center", va="top",
        fontsize=_CAPTION, color="0.3",
    )  # fmt: skip
    if picture is None:
        return
    pixels = picture.detach().float().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    if pixels.shape[2] == 1:
        axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(pixels, interpolation="nearest")


def _line(font_size: float) -> float:
    """Height of a line of text, inches."""
    return 1.45 * font_size / 72


def _text_width(text: str, font_size: float) -> float:
    """Width of a text, inches."""
    return TextPath((0, 0), text, size=font_size).get_extents().width / 72 if text.strip() else 0.0


def _wrapped(text: str, width: float, font_size: float) -> list[str]:
    """The text in lines that fit into a width in inches."""
    num_characters = len(text)
    lines = [text] if text else []
    while num_characters > 1 and any(_text_width(line, font_size) > width for line in lines):
        num_characters -= 1
        lines = textwrap.wrap(text, num_characters)
    return lines
