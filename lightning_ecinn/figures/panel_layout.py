"""Where everything stands in a panel, and what panels of one layout share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.figure import Figure

from lightning_ecinn.figures.canvas import BLUE, blank_figure
from lightning_ecinn.figures.placed import Place, add_bar, write_below
from lightning_ecinn.figures.text import CAPTION, LABEL, TITLE, line_height, text_width

__all__ = ["WORDS", "PanelLayout", "middle_of_bars"]

WORDS = 1.9
"""Width of the words right of the bars, in inches like everything here."""
_BARS = 1.3
_SIDE, _GAP = 1.15, 0.12


@dataclass(frozen=True)
class PanelLayout:
    """Where everything stands, in inches from the left and from the top.

    Attributes:
        left: room for the rows' labels.
        columns: what stands above them.
        names: of the classes that have bars, for each row.
        title_lines: number of lines.
    """

    left: float
    columns: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    title_lines: int

    @cached_property
    def name_width(self) -> float:
        """Room for the classes' names, left of the bars."""
        return 0.1 + max(text_width(name, CAPTION) for names in self.names for name in names)

    @cached_property
    def width(self) -> float:
        """Of the figure."""
        return self.x(len(self.columns)) + 0.25 + WORDS

    @property
    def top(self) -> float:
        """Where the first row begins."""
        return 0.12 + line_height(TITLE) * self.title_lines + line_height(LABEL)

    @property
    def pitch(self) -> float:
        """From one row to the next."""
        return _SIDE + line_height(CAPTION) + 0.12

    @property
    def height(self) -> float:
        """Of the figure."""
        return self.top + len(self.names) * self.pitch + 0.05

    def figure(self) -> Figure:
        """What is the same in every panel of this layout."""
        figure = blank_figure(self.width, self.height, [])
        for j, column in enumerate(self.columns):
            x, y = self.x(j) + self._cell(j) / 2, 1 - (self.top - 0.05) / self.height
            figure.text(x / self.width, y, column, ha="center", va="bottom", fontsize=LABEL)
        for i, names in enumerate(self.names):
            _write_names(figure, self.place(i, len(self.columns) - 1), names)
        return figure

    def place(self, i: int, j: int) -> Place:
        """Of a row's j-th picture; its heatmap and bars come last."""
        bottom = 1 - (self.top + i * self.pitch + _SIDE) / self.height
        width = self._cell(j) / self.width
        return self.x(j) / self.width, bottom, width, _SIDE / self.height

    def middle(self, i: int) -> float:
        """Of a row, in shares of the figure from its bottom."""
        return 1 - (self.top + i * self.pitch + _SIDE / 2) / self.height

    def x(self, j: int) -> float:
        """Left end of a column, or of what comes right of the last one."""
        to_the_bars = self.name_width if j >= len(self.columns) - 1 else 0
        beyond = _BARS - _SIDE if j == len(self.columns) else 0
        return self.left + j * (_SIDE + _GAP) + to_the_bars + beyond

    def _cell(self, j: int) -> float:
        return _BARS if j == len(self.columns) - 1 else _SIDE


def _write_names(figure: Figure, place: Place, names: Sequence[str]) -> None:
    """What stands around bars, whatever their lengths are."""
    left, bottom, _, height = place
    size = min(CAPTION, 66 / len(names))
    x = left - 0.02 / figure.get_figwidth()
    for i, name in enumerate(names):
        y = middle_of_bars(place, i, len(names))
        figure.text(x, y, name, ha="right", va="center_baseline", fontsize=size)
    add_bar(figure, (left, bottom, 0, height), edgecolor="0.8", linewidth=0.5)
    write_below(figure, place, 0, "0", ha="center")
    write_below(figure, place, 0.48, "before", ha="right", color="0.45")
    write_below(figure, place, 0.52, "after", ha="left", color=BLUE)
    write_below(figure, place, 1, "1", ha="center")


def middle_of_bars(place: Place, i: int, count: int) -> float:
    """Of the i-th class's two bars, in shares of the figure from its bottom."""
    return place[1] + place[3] * (1 - (i + 0.55) / (count + 0.1))
