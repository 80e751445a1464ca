"""What there is to see of a picture's counterfactual: pictures, heatmap, posteriors, words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.canvas import (
    BLUE,
    BLUE_TO_RED,
    RED,
    agg,
    blank_figure,
    drawn,
    pixels_png,
    write_title,
)
from lightning_ecinn.figures.heatmaps import heatmap_unit
from lightning_ecinn.figures.panel_layout import WORDS, PanelLayout, middle_of_bars
from lightning_ecinn.figures.placed import Place, add_bar, add_picture, write_below
from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    TITLE,
    drawable,
    text_width,
    verbatim,
    wrapped,
)

__all__ = ["MOST_BARS", "PanelPrinter", "PanelRow", "counterfactual_panel"]

MOST_BARS = 12
"""Classes whose bars have room; of more, those that are likeliest before or after."""

_GREY = "0.72"
_MOST_SHARED = 2**24
"""Bytes of what is kept of drawn panels: some fifteen of one row each."""


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
    layout, title_lines = _layout(rows, class_names, columns, title)
    figure = layout.figure()
    _fill(figure, layout, rows, title_lines)
    return figure


class PanelPrinter:
    """Makes PNG files of panels: what those of one layout share is drawn once.

    They show what :func:`counterfactual_panel` draws, to the pixel. A printer serves one thread,
    while Matplotlib's settings stay as they are.

    Example:
        >>> import torch
        >>> grey, half = torch.full((1, 8, 8), 0.5), torch.tensor([0.5, 0.5])
        >>> row = PanelRow("a to b", [grey], ["p 50 %"], 0 * grey, half, half, "Holds.", True)
        >>> PanelPrinter().png([row], ["a", "b"], columns=["input"])[1:4]
        b'PNG'
    """

    def __init__(self) -> None:
        self._shared: dict[PanelLayout, np.ndarray] = {}

    @verbatim
    def png(
        self,
        rows: Sequence[PanelRow],
        class_names: Sequence[str],
        *,
        columns: Sequence[str],
        title: str | None = None,
    ) -> bytes:
        """The content of the file; as :func:`counterfactual_panel`."""
        layout, title_lines = _layout(rows, class_names, columns, title)
        figure = blank_figure(layout.width, layout.height, [])
        _fill(figure, layout, rows, title_lines)
        renderer = agg(figure).get_renderer()
        np.asarray(renderer.buffer_rgba())[:] = self._drawn_once(layout)
        for artist in sorted((*figure.artists, *figure.texts), key=lambda one: one.zorder):
            artist.draw(renderer)
        return pixels_png(np.asarray(renderer.buffer_rgba()))

    def _drawn_once(self, layout: PanelLayout) -> np.ndarray:
        """What panels of a layout share, (H, W, 4)."""
        if layout not in self._shared:
            pixels = drawn(layout.figure())
            if sum(one.nbytes for one in self._shared.values()) + pixels.nbytes > _MOST_SHARED:
                self._shared.clear()
            self._shared[layout] = pixels
        return self._shared[layout]


def _layout(
    rows: Sequence[PanelRow],
    class_names: Sequence[str],
    columns: Sequence[str],
    title: str | None,
) -> tuple[PanelLayout, list[str]]:
    """Where everything stands, and the title in lines."""
    if not rows or any(len(row.pictures) != len(columns) for row in rows):
        raise ValueError(
            f"A panel needs rows of {len(columns)} pictures each, one for each column, got "
            f"{[len(row.pictures) for row in rows]}."
        )
    label_width = max(text_width(line, LABEL) for row in rows for line in _lines(row.label))
    left = ceil(10 * (0.15 + label_width)) / 10  # tenths: many panels have the same
    names = tuple(
        tuple(drawable(_short(class_names[k])) for k in _shown(row, len(class_names)))
        for row in rows
    )
    layout = PanelLayout(left, (*columns, "heatmap", "posterior"), names, 0)
    title_lines = wrapped(title or "", layout.width - 0.2, TITLE)
    return replace(layout, title_lines=len(title_lines)), title_lines


def _shown(row: PanelRow, num_classes: int) -> list[int]:
    """The classes that get bars, in their order."""
    if num_classes <= MOST_BARS:
        return list(range(num_classes))
    highest = (row.before + row.after).argsort(descending=True)[:MOST_BARS]
    return sorted(highest.tolist())


def _lines(label: str) -> list[str]:
    return list(map(drawable, label.split("\n")))


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _fill(
    figure: Figure, layout: PanelLayout, rows: Sequence[PanelRow], title_lines: Sequence[str]
) -> None:
    """Draw what is a panel's own."""
    write_title(figure, title_lines)
    for i, row in enumerate(rows):
        count = len(layout.columns)
        *places, of_heatmap, of_bars = (layout.place(i, j) for j in range(count))
        for place, picture, caption in zip(places, row.pictures, row.captions, strict=True):
            inner = add_picture(figure, place, _grey_levels(picture))
            write_below(figure, inner, 0.5, caption, ha="center", color="0.3")
        _show_heatmap(figure, of_heatmap, row.heatmap)
        _show_bars(figure, of_bars, row)
        _write(figure, layout, i, row)


def _write(figure: Figure, layout: PanelLayout, i: int, row: PanelRow) -> None:
    """The texts left and right of a row."""
    x, y = (layout.left - 0.08) / layout.width, layout.middle(i)
    figure.text(x, y, "\n".join(_lines(row.label)), ha="right", va="center", fontsize=LABEL)
    lines = [line for part in row.words.split("\n") for line in wrapped(part, WORDS, CAPTION)]
    x = (layout.x(len(layout.columns)) + 0.1) / layout.width
    colour, text = "0.2" if row.holds else RED, "\n".join(lines)
    figure.text(x, y, text, va="center", fontsize=CAPTION, color=colour, linespacing=1.4)


def _grey_levels(picture: Tensor) -> np.ndarray:
    """A picture (C, H, W) in [0, 1] as (H, W, 3), uint8."""
    levels = picture.detach().double().cpu().clamp(0, 1).mul(255).round().byte()
    return levels.permute(1, 2, 0).expand(-1, -1, 3).numpy()


def _show_heatmap(figure: Figure, place: Place, heatmap: Tensor) -> None:
    values = heatmap.detach().double().sum(0).cpu()
    shares = (values / heatmap_unit(values)).clamp(-1, 1).numpy()
    colours = colormaps[BLUE_TO_RED]((shares + 1) / 2, bytes=True)
    inner = add_picture(figure, place, colours[..., :3])
    write_below(figure, inner, 0.48, "darker", ha="right", color=BLUE)
    write_below(figure, inner, 0.52, "brighter", ha="left", color=RED)


def _show_bars(figure: Figure, place: Place, row: PanelRow) -> None:
    """For each class a bar before (grey, above) and one after (blue, below)."""
    left, _, width, height = place
    shown = _shown(row, len(row.before))
    pitch = height / (len(shown) + 0.1)
    for values, shift, colour in ((row.before, 0.01, _GREY), (row.after, -0.39, BLUE)):
        for i, k in enumerate(shown):
            bottom = middle_of_bars(place, i, len(shown)) + shift * pitch
            bar = (left, bottom, width * float(values[k]), 0.38 * pitch)
            add_bar(figure, bar, facecolor=colour)
