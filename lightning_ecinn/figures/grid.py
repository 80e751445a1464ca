"""Pictures in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.canvas import blank_figure
from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    TITLE,
    drawable,
    fitted_labels,
    line_height,
    text_width,
    verbatim,
    wrapped,
)

__all__ = ["SIDE", "magnified", "picture_grid", "show_picture"]

SIDE = 0.82
"""Height of one picture, in inches like everything here."""
_GAP = 0.05


@verbatim
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
    """
    row_labels = list(map(drawable, row_labels or []))
    layout = _Layout(pictures, row_labels, column_labels or [], bool(captions), title or "", gap)
    figure = layout.figure()
    for i, row in enumerate(pictures):
        for j, picture in enumerate(row):
            axes = figure.add_axes(layout.place(i, j))
            show_picture(axes, picture, captions[i][j] if captions else "")
    return figure


@dataclass(frozen=True)
class _Layout:
    """Where everything stands, in inches from the left and from the top."""

    pictures: Sequence[Sequence[Tensor | None]]
    row_labels: Sequence[str]
    column_labels: Sequence[str]
    has_captions: bool
    title: str
    gap: float

    @cached_property
    def cell_width(self) -> float:
        shape = next(one.shape for row in self.pictures for one in row if one is not None)
        return SIDE * shape[2] / shape[1]

    @cached_property
    def pitch(self) -> float:
        """From one row to the next."""
        return SIDE + (line_height(CAPTION) + 0.04 if self.has_captions else 0) + _GAP

    @cached_property
    def left(self) -> float:
        return 0.1 + max((0.1 + text_width(label, LABEL) for label in self.row_labels), default=0)

    @cached_property
    def width(self) -> float:
        return self._x(max(map(len, self.pictures))) + 0.05

    @cached_property
    def title_lines(self) -> list[str]:
        return wrapped(self.title, self.width - 0.2, TITLE)

    @cached_property
    def top(self) -> float:
        _, _, labels = fitted_labels(self.column_labels, self.cell_width)
        return 0.1 + line_height(TITLE) * len(self.title_lines) + labels

    @cached_property
    def height(self) -> float:
        return self.top + len(self.pictures) * self.pitch + 0.05

    def figure(self) -> Figure:
        """The figure with all its texts but the captions."""
        figure = blank_figure(self.width, self.height, self.title_lines)
        columns, size, _ = fitted_labels(self.column_labels, self.cell_width)
        for j, lines in enumerate(columns):
            x = (self._x(j) + self.cell_width / 2) / self.width
            y = 1 - (self.top - 0.04) / self.height
            figure.text(x, y, "\n".join(lines), ha="center", va="bottom", fontsize=size)
        for i, label in enumerate(self.row_labels):
            x, y = (self.left - 0.06) / self.width, self._bottom(i) + SIDE / 2 / self.height
            figure.text(x, y, label, ha="right", va="center", fontsize=LABEL)
        return figure

    def place(self, i: int, j: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a picture, in shares of the figure."""
        width, height = self.cell_width / self.width, SIDE / self.height
        return self._x(j) / self.width, self._bottom(i), width, height

    def _x(self, j: int) -> float:
        return self.left + j * (self.cell_width + self.gap)

    def _bottom(self, i: int) -> float:
        return 1 - (self.top + i * self.pitch + SIDE) / self.height


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
        0.5, -0.04, drawable(caption), transform=axes.transAxes, ha="center", va="top",
        fontsize=CAPTION, color="0.3",
    )  # fmt: skip
    if picture is None:
        return
    pixels = picture.detach().float().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    if pixels.shape[2] == 1:
        axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    else:
        axes.imshow(pixels, interpolation="nearest")
