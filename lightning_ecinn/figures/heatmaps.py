"""Heatmaps of several methods side by side, one row per model or image (Figure 9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.attribution import COMPLETENESS_LIMIT
from lightning_ecinn.figures.canvas import BLUE_TO_RED, RED, blank_figure, draw_frame
from lightning_ecinn.figures.grid import show_picture
from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    TITLE,
    fitted_labels,
    line_height,
    text_width,
    verbatim,
    wrapped,
)

__all__ = ["HeatmapRow", "heatmap_table", "heatmap_unit"]

_SIDE = 0.95
"""Side of a picture, in inches like everything here."""
_GAP = 0.06
_LABEL_WIDTH = 1.6
_BAR, _TICKS = 0.08, 0.22
"""Width of a row's colour bar and of the numbers beside it."""
_BEYOND = 0.02
"""Share of a heatmap's mass that is beyond the ends of the colour bar, as in Captum's pictures."""
_NOTE = (
    "Heatmaps: sum over channels. Below each: the value ±v that the ends of the colour bar stand "
    f"for; what lies beyond, {100 * _BEYOND:.0f} % of the heatmap's mass, has the same colour."
)
_GAP_NOTE = (
    "gap: share by which the heatmap's sum misses what it has to explain "
    f"(! above {100 * COMPLETENESS_LIMIT:.0f} %: not to be relied on)."
)


@dataclass(frozen=True)
class HeatmapRow:
    """One row of :func:`heatmap_table`.

    Attributes:
        label: text left of the row; may have several lines.
        image: the input, (C, H, W) in [0, 1], C = 1 or 3.
        heatmaps: one signed heatmap (C, H, W) per method; None where there is none.
        gaps: completeness gap of each heatmap, a share; None where a method has none.
        counterfactual: (C, H, W) in [0, 1], where there is one.
        caption: text below the counterfactual.
    """

    label: str
    image: Tensor
    heatmaps: Sequence[Tensor | None]
    gaps: Sequence[float | None]
    counterfactual: Tensor | None = None
    caption: str = ""


@verbatim
def heatmap_table(
    rows: Sequence[HeatmapRow],
    methods: Sequence[str],
    *,
    title: str | None = None,
    note: str | None = None,
) -> Figure:
    """Input, counterfactual and the heatmap of every method, row by row.

    The methods' values have different units and sizes, so each heatmap has its own scale, symmetric
    about 0 (:func:`heatmap_unit`), which is written below it; the row's colour bar says what part
    of it a colour means. Completeness gaps are written below, in red with a "!" above
    `COMPLETENESS_LIMIT`. The column of counterfactuals is left out where no row has one; any other
    missing cell shows "–".

    Args:
        rows: at least one, of any mixture of picture sizes.
        methods: name of each method, above its column; broken into lines where it is long.
        title: text above everything; broken into lines where it is long.
        note: what else the reader has to know, below everything, such as units.

    Raises:
        ValueError: without rows, or for a row with another number of heatmaps than methods.
    """
    _check(rows, methods)
    has_counterfactual = any(row.counterfactual is not None for row in rows)
    has_gaps = any(gap is not None for row in rows for gap in row.gaps)
    columns = ["input", *(["counterfactual"] if has_counterfactual else []), *methods]
    notes = " ".join(filter(None, (_NOTE, _GAP_NOTE if has_gaps else None, note)))
    layout = _Layout([row.label for row in rows], columns, title or "", notes, 1 + has_gaps)
    figure = layout.figure()
    for i, row in enumerate(rows):
        cells = layout.row(figure, i)
        show_picture(next(cells), row.image, "")
        if has_counterfactual:
            _show_counterfactual(next(cells), row)
        for heatmap, gap in zip(row.heatmaps, row.gaps, strict=True):
            _show_heatmap(next(cells), heatmap, gap)
        _show_bar(next(cells))
    return figure


def heatmap_unit(heatmap: Tensor) -> float:
    """The value that full colour stands for, of a heatmap (H, W) or (C, H, W).

    Pixels beyond it hold `_BEYOND` of the sum of absolute values: a share of the mass, not of the
    pixels, so that neither a few outliers make everything else pale nor the
    background decides about a heatmap of two pixels.

    Returns:
        A positive number; 1 for a heatmap that is zero everywhere.
    """
    values = heatmap.detach().double().abs().flatten().sort().values.cpu()
    cumulative = values.cumsum(0)
    index = int(torch.searchsorted(cumulative, (1 - _BEYOND) * cumulative[-1]))
    return float(values[min(index, len(values) - 1)]) or 1.0


@dataclass(frozen=True)
class _Layout:
    """Where everything stands, in inches from the left and from the top."""

    row_labels: Sequence[str]
    columns: Sequence[str]
    title: str
    notes: str
    caption_lines: int

    @cached_property
    def labels(self) -> list[list[str]]:
        return [
            [line for part in label.split("\n") for line in wrapped(part, _LABEL_WIDTH, LABEL)]
            for label in self.row_labels
        ]

    @cached_property
    def left(self) -> float:
        widths = [text_width(line, LABEL) for lines in self.labels for line in lines]
        return 0.2 + max(widths, default=0)

    @cached_property
    def width(self) -> float:
        return max(self.left + len(self.columns) * (_SIDE + _GAP) + _BAR + _TICKS, 2.8)

    @cached_property
    def top(self) -> float:
        _, _, header = fitted_labels(self.columns, _SIDE)
        return 0.1 + line_height(TITLE) * len(self._lines(self.title, TITLE)) + header

    @cached_property
    def pitch(self) -> float:
        """From one row to the next."""
        return _SIDE + 0.09 + self.caption_lines * line_height(CAPTION)

    @cached_property
    def height(self) -> float:
        notes = line_height(CAPTION) * len(self._lines(self.notes, CAPTION))
        return self.top + len(self.row_labels) * self.pitch + notes + 0.12

    def _lines(self, text: str, size: float) -> list[str]:
        return wrapped(text, 0.95 * (self.width - 0.2), size)  # rendered text is a bit wider

    def figure(self) -> Figure:
        """The figure with all its texts but those of the cells."""
        figure = blank_figure(self.width, self.height, self._lines(self.title, TITLE))
        notes = "\n".join(self._lines(self.notes, CAPTION))
        y = 0.06 / self.height
        figure.text(0.1 / self.width, y, notes, va="bottom", fontsize=CAPTION, color="0.3")
        lines, size, _ = fitted_labels(self.columns, _SIDE)
        for j, column in enumerate(lines):
            x = (self._x(j) + _SIDE / 2) / self.width
            y = 1 - (self.top - 0.04) / self.height
            figure.text(x, y, "\n".join(column), ha="center", va="bottom", fontsize=size)
        for i, label in enumerate(self.labels):
            y = 1 - (self.top + i * self.pitch + _SIDE / 2) / self.height
            x = (self.left - 0.08) / self.width
            figure.text(x, y, "\n".join(label), ha="right", va="center", fontsize=LABEL)
        return figure

    def row(self, figure: Figure, i: int) -> Iterator[Axes]:
        """The cells of a row, and last the place of its colour bar."""
        for j in range(len(self.columns) + 1):
            width = _SIDE if j < len(self.columns) else _BAR
            bottom = 1 - (self.top + i * self.pitch + _SIDE) / self.height
            place = (self._x(j) / self.width, bottom, width / self.width, _SIDE / self.height)
            yield figure.add_axes(place)

    def _x(self, j: int) -> float:
        return self.left + j * (_SIDE + _GAP)


def _show_counterfactual(axes: Axes, row: HeatmapRow) -> None:
    show_picture(axes, row.counterfactual, row.caption)
    if row.counterfactual is None:
        _show_nothing(axes)


def _show_heatmap(axes: Axes, heatmap: Tensor | None, gap: float | None) -> None:
    axes.set_axis_off()
    if heatmap is None:
        _show_nothing(axes)
        return
    values = heatmap.detach().double().sum(0).cpu()
    unit = heatmap_unit(values)
    axes.imshow(
        (values / unit).numpy(), cmap=BLUE_TO_RED, vmin=-1, vmax=1, interpolation="antialiased"
    )
    draw_frame(axes)
    _caption(axes, -0.04, f"±{_short(unit)}", "0.3")
    if gap is not None:
        large = gap > COMPLETENESS_LIMIT
        below = -0.04 - line_height(CAPTION) / _SIDE
        _caption(
            axes, below, f"{'! ' if large else ''}gap {_percent(gap)}", RED if large else "0.3"
        )


def _show_bar(axes: Axes) -> None:
    scale = np.linspace(1, -1, 101)[:, None]
    axes.imshow(scale, cmap=BLUE_TO_RED, vmin=-1, vmax=1, aspect="auto", extent=(0, 1, -1, 1))
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks([-0.94, 0, 0.94], ["−v", "0", "+v"], fontsize=CAPTION)
    axes.tick_params(length=0, pad=1.5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _show_nothing(axes: Axes) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, "–", transform=axes.transAxes, ha="center", va="center", color="0.5")


def _caption(axes: Axes, y: float, text: str, colour: str) -> None:
    axes.text(
        0.5, y, text, transform=axes.transAxes, ha="center", va="top",
        fontsize=CAPTION, color=colour,
    )  # fmt: skip


def _short(value: float) -> str:
    """Two digits; 180 rather than 1.8e+02."""
    return f"{value:.0f}" if 100 <= value < 1e5 else f"{value:.2g}"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f} %" if percent < 0.95 else f"{min(percent, 9999):.0f} %"


def _check(rows: Sequence[HeatmapRow], methods: Sequence[str]) -> None:
    if not rows:
        raise ValueError("A table of heatmaps needs at least one row.")
    for row in rows:
        if not len(row.heatmaps) == len(row.gaps) == len(methods):
            raise ValueError(
                f"The row {row.label!r} has {len(row.heatmaps)} heatmaps and {len(row.gaps)} gaps "
                f"for {len(methods)} methods: give one per method, None where there is none."
            )
