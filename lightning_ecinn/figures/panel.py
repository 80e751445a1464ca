"""What there is to see of a picture's counterfactual: pictures, heatmap, posteriors, words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.canvas import BLUE, BLUE_TO_RED, RED, blank_figure, draw_frame
from lightning_ecinn.figures.grid import show_picture
from lightning_ecinn.figures.heatmaps import heatmap_unit
from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    TITLE,
    drawable,
    line_height,
    text_width,
    verbatim,
    wrapped,
)

__all__ = ["MOST_BARS", "PanelRow", "counterfactual_panel"]

MOST_BARS = 12
"""Classes whose bars have room; of more, those that are likeliest before or after."""

_SIDE, _GAP = 1.15, 0.12
_BARS = 1.3
"""Width of the bars, in inches like everything here."""
_WORDS = 1.9
_GREY = "0.72"


@dataclass(frozen=True)
class PanelRow:
    """One row: a picture and its counterfactual.

    Attributes:
        label: text left of the row; may have several lines.
        pictures: (C, H, W) in [0, 1] each, C = 1 or 3; the first is the input.
        captions: text below each.
        heatmap: signed, (C, H, W).
        before: posterior of the input, (K,).
        after: posterior of the counterfactual, (K,).
        words: what is to be said, right of the bars.
        holds: whether it is what was asked for.
    """

    label: str
    pictures: Sequence[Tensor]
    captions: Sequence[str]
    heatmap: Tensor
    before: Tensor
    after: Tensor
    words: str
    holds: bool


@verbatim
def counterfactual_panel(
    rows: Sequence[PanelRow],
    class_names: Sequence[str],
    *,
    columns: Sequence[str],
    title: str | None = None,
) -> Figure:
    """Input, counterfactuals, heatmap, the posterior of every class before and after, and words.

    Heatmaps are summed over channels, each with its own scale, symmetric about 0.

    Args:
        rows: at least one, each with as many pictures as there are columns.
        class_names: one name per class.
        columns: what the pictures are.
        title: text above everything.

    Raises:
        ValueError: without rows, or for another number of pictures.
    """
    if not rows or any(len(row.pictures) != len(columns) for row in rows):
        raise ValueError(
            f"A panel needs rows of {len(columns)} pictures each, one for each column, got "
            f"{[len(row.pictures) for row in rows]}."
        )
    layout = _Layout(rows, class_names, [*columns, "heatmap", "posterior"], title or "")
    figure = layout.figure()
    for i, row in enumerate(rows):
        cells = [figure.add_axes(layout.place(i, j)) for j in range(len(columns) + 2)]
        for axes, picture, caption in zip(cells, row.pictures, row.captions, strict=False):
            show_picture(axes, picture, caption)
            draw_frame(axes)  # paper is as white as the page
        _show_heatmap(cells[-2], row.heatmap)
        _show_bars(cells[-1], row, layout.shown(row), class_names)
        layout.write(figure, i)
    return figure


@dataclass(frozen=True)
class _Layout:
    """Where everything stands, in inches from the left and from the top."""

    rows: Sequence[PanelRow]
    class_names: Sequence[str]
    columns: Sequence[str]
    title: str

    def shown(self, row: PanelRow) -> list[int]:
        """The classes that get bars, in their order."""
        if len(self.class_names) <= MOST_BARS:
            return list(range(len(self.class_names)))
        highest = (row.before + row.after).argsort(descending=True)[:MOST_BARS]
        return sorted(highest.tolist())

    @cached_property
    def name_width(self) -> float:
        names = (_name(self.class_names[k]) for row in self.rows for k in self.shown(row))
        return 0.1 + max(text_width(drawable(name), CAPTION) for name in names)

    @cached_property
    def left(self) -> float:
        lines = (line for row in self.rows for line in _lines(row.label))
        return 0.15 + max(text_width(line, LABEL) for line in lines)

    @cached_property
    def width(self) -> float:
        return self._x(len(self.columns)) + 0.25 + _WORDS

    @cached_property
    def title_lines(self) -> list[str]:
        return wrapped(self.title, self.width - 0.2, TITLE)

    @cached_property
    def top(self) -> float:
        return 0.12 + line_height(TITLE) * len(self.title_lines) + line_height(LABEL)

    @property
    def pitch(self) -> float:
        return _SIDE + line_height(CAPTION) + 0.12

    @cached_property
    def height(self) -> float:
        return self.top + len(self.rows) * self.pitch + 0.05

    def figure(self) -> Figure:
        figure = blank_figure(self.width, self.height, self.title_lines)
        for j, column in enumerate(self.columns):
            x, y = self._x(j) + self._cell(j) / 2, 1 - (self.top - 0.05) / self.height
            figure.text(x / self.width, y, column, ha="center", va="bottom", fontsize=LABEL)
        return figure

    def place(self, i: int, j: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height, in shares of the figure."""
        bottom = 1 - (self.top + i * self.pitch + _SIDE) / self.height
        width = self._cell(j) / self.width
        return self._x(j) / self.width, bottom, width, _SIDE / self.height

    def write(self, figure: Figure, i: int) -> None:
        """The texts left and right of a row."""
        row, middle = self.rows[i], 1 - (self.top + i * self.pitch + _SIDE / 2) / self.height
        x = (self.left - 0.08) / self.width
        label = "\n".join(_lines(row.label))
        figure.text(x, middle, label, ha="right", va="center", fontsize=LABEL)
        lines = [line for part in row.words.split("\n") for line in wrapped(part, _WORDS, CAPTION)]
        x = (self._x(len(self.columns)) + 0.1) / self.width
        colour = "0.2" if row.holds else RED
        text = "\n".join(lines)
        figure.text(x, middle, text, va="center", fontsize=CAPTION, color=colour, linespacing=1.4)

    def _cell(self, j: int) -> float:
        return _BARS if j == len(self.columns) - 1 else _SIDE

    def _x(self, j: int) -> float:
        to_the_bars = self.name_width if j >= len(self.columns) - 1 else 0
        beyond = _BARS - _SIDE if j == len(self.columns) else 0
        return self.left + j * (_SIDE + _GAP) + to_the_bars + beyond


def _lines(label: str) -> list[str]:
    return list(map(drawable, label.split("\n")))


def _name(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _show_heatmap(axes: Axes, heatmap: Tensor) -> None:
    values = heatmap.detach().double().sum(0).cpu()
    shown = (values / heatmap_unit(values)).numpy()
    axes.imshow(shown, cmap=BLUE_TO_RED, vmin=-1, vmax=1, interpolation="nearest")
    draw_frame(axes)
    below: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "fontsize": CAPTION}
    axes.text(0.48, -0.04, "darker", ha="right", color=BLUE, **below)
    axes.text(0.52, -0.04, "brighter", ha="left", color=RED, **below)


def _show_bars(axes: Axes, row: PanelRow, shown: list[int], class_names: Sequence[str]) -> None:
    """For each class a bar before (grey, above) and one after (blue, below)."""
    places = list(range(len(shown)))
    for values, shift, colour in ((row.before, -0.2, _GREY), (row.after, 0.2, BLUE)):
        widths = [float(values[k]) for k in shown]
        axes.barh([place + shift for place in places], widths, 0.38, color=colour)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shown) - 0.45, -0.55)
    names = [drawable(_name(class_names[k])) for k in shown]
    axes.set_yticks(places, names, fontsize=min(CAPTION, 66 / len(shown)))
    axes.set_xticks([0, 1], ["0", "1"], fontsize=CAPTION)
    below: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "fontsize": CAPTION}
    axes.text(0.48, -0.04, "before", ha="right", color="0.45", **below)
    axes.text(0.52, -0.04, "after", ha="left", color=BLUE, **below)
    axes.tick_params(length=0, pad=1.5)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set(color="0.8", linewidth=0.5)
