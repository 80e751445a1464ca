"""Directions between classes: what they add to a class's picture, and the angles between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.canvas import BLUE_TO_RED, draw_frame, titled_figure
from lightning_ecinn.figures.grid import show_picture
from lightning_ecinn.figures.heatmaps import heatmap_unit
from lightning_ecinn.figures.matrices import show_numbers, two_decimals
from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    drawable,
    line_height,
    text_width,
    verbatim,
    wrapped,
)

__all__ = ["cosine_matrix", "direction_atlas"]

_SIDE, _GAP = 0.72, 0.05
"""Of a picture, in inches like everything here."""
_PAIRS_PER_ROW = 3
_BAR = 0.1
_NAME_WIDTH = 1.2
_MOST_NUMBERS = 15
"""Directions between which the cosines have room to be written."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class _Shown:
    """Pictures (K, C, H, W), what is added from p to q, the classes' names, and the unit."""

    pictures: Tensor
    added: Mapping[Pair, Tensor]
    names: Sequence[str]
    unit: float


_Words = tuple[str | None, str | None]
"""Title and note."""


@verbatim
def direction_atlas(
    pictures: Tensor,
    pairs: Sequence[Pair],
    class_names: Sequence[str],
    *,
    changes: Sequence[Tensor] | None = None,
    title: str | None = None,
    note: str | None = None,
) -> Figure:
    """The picture of each class, and what is added to them, all with the same colours.

    For every pair of three classes or more a matrix: the classes' pictures on the diagonal, in row
    p and column q what has to be added to p's picture to get q's. Otherwise a list of pairs: p, q,
    and the difference. Differences are summed over channels; the colour bar shows their unit.

    Args:
        pictures: (K, C, H, W) in [0, 1], C = 1 or 3.
        pairs: which (p, q); p < q, without changes.
        class_names: K names.
        changes: (C, H, W), what is added to p's picture for each pair; by default the difference of
            the two pictures.
        title: text above everything; broken into lines where it is long.
        note: what else the reader has to know, below everything.

    Raises:
        ValueError: without pairs, or for another number of pictures than names.
    """
    if not pairs or pictures.ndim != 4 or len(pictures) != len(class_names):
        raise ValueError(
            f"An atlas needs a pair and a picture (C, H, W) for each of {len(class_names)} names, "
            f"got {len(pairs)} pairs and pictures {tuple(pictures.shape)}."
        )
    classes = sorted({k for pair in pairs for k in pair})
    every = len(classes) * (len(classes) - 1)
    if changes is None:
        added = {(p, q): pictures[q] - pictures[p] for p, q in pairs}
        added |= {(q, p): -change for (p, q), change in added.items()}
    else:
        added = dict(zip(pairs, changes, strict=True))
    is_matrix = len(classes) > 2 and 2 * len(added) > every
    unit = heatmap_unit(torch.stack([change.sum(0) for change in added.values()]))
    draw = _matrix if is_matrix else _list
    shown = _Shown(pictures, added, list(map(drawable, class_names)), unit)
    return draw(shown, pairs, (title, note))


@verbatim
def cosine_matrix(
    cosines: Tensor,
    pairs: Sequence[Pair],
    class_names: Sequence[str],
    *,
    title: str | None = None,
    note: str | None = None,
) -> Figure:
    """Cosines between the directions of pairs of classes; written in the cells of up to 15.

    Args:
        cosines: (P, P), in [-1, 1]; NaN where there is none.
        pairs: P pairs (p, q).
        class_names: of all classes.
        title: text above everything; broken into lines where it is long.
        note: what else the reader has to know, below everything.

    Raises:
        ValueError: without pairs, or for another shape than (P, P).
    """
    if not pairs or cosines.shape != (len(pairs), len(pairs)):
        raise ValueError(
            f"Cosines of {len(pairs)} directions must be ({len(pairs)}, {len(pairs)}) with at "
            f"least one, got {tuple(cosines.shape)}."
        )
    few = len(pairs) <= _MOST_NUMBERS
    cell, size = (0.42, LABEL) if few else (0.15, CAPTION)
    names = [drawable(f"{class_names[p]} → {class_names[q]}") for p, q in pairs]
    label = max(text_width(name, size) for name in names) * 1.05 + 0.1
    side, right = cell * len(pairs), 0.55
    width = max(label + side + right + 0.2, 3.4)
    left = (width - label - side - right) / 2 + label
    figure, (width, height), bottom = _titled(width, side + label + 0.1, (title, note))
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    values = cosines.detach().cpu().numpy()
    if few:
        show_numbers(axes, values, two_decimals, BLUE_TO_RED, (-1, 1))
    else:
        _show_colours(axes, values)
    axes.set_xticks(range(len(pairs)), names, fontsize=size, rotation=90)
    axes.set_yticks(range(len(pairs)), names, fontsize=size)
    bar_height = min(side, 2.0)
    place = (left + side + 0.12) / width, (bottom + side - bar_height) / height
    bar = figure.add_axes((*place, _BAR / width, bar_height / height))
    _show_bar(bar, ["−1", "0", "1"])
    return figure


def _show_colours(axes: Axes, values: np.ndarray) -> None:
    """As `show_numbers`, without the numbers."""
    axes.imshow(np.ma.masked_invalid(values), BLUE_TO_RED, vmin=-1, vmax=1)
    axes.set_facecolor("0.9")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _matrix(shown: _Shown, pairs: Sequence[Pair], words: _Words) -> Figure:
    """Every pair, in row p and column q; both of the two directions."""
    pictures, names = shown.pictures, shown.names
    classes = sorted({k for pair in pairs for k in pair})
    lines = [wrapped(names[k], _NAME_WIDTH, LABEL) for k in classes]
    name_width = 1.05 * max(text_width(line, LABEL) for one in lines for line in one)
    upright = name_width > _cell_width(pictures)
    head = name_width if upright else line_height(LABEL) * max(map(len, lines))
    left, pitch = 0.4 + name_width, _cell_width(pictures) + _GAP
    body = head + 0.3 + len(classes) * (_SIDE + _GAP)
    width = left + len(classes) * pitch + 0.55
    figure, _, bottom = _titled(width, body, words)
    top = bottom + len(classes) * (_SIDE + _GAP)
    for i, p in enumerate(classes):
        x, y = left + i * pitch + _cell_width(pictures) / 2, top - _GAP - (i + 1) * _SIDE - i * _GAP
        name = "\n".join(lines[i])
        _write(figure, (left - 0.08, y + _SIDE / 2), name, ha="right", va="center")
        _write(figure, (x, top), name, ha="center", va="bottom", rotation=90 if upright else 0)
        for j, q in enumerate(classes):
            place = left + j * pitch, y, _cell_width(pictures), _SIDE
            _show_cell(figure, place, shown, (p, q))
    middle = left + (len(classes) * pitch - _GAP) / 2, top + head + 0.06
    _write(figure, middle, "target q", ha="center", va="bottom")
    _write(figure, (0.2, (bottom + top) / 2), "source p", ha="center", va="center", rotation=90)
    _show_unit(figure, (left + len(classes) * pitch + 0.05, top - _GAP), shown.unit)
    return figure


def _list(shown: _Shown, pairs: Sequence[Pair], words: _Words) -> Figure:
    """Some pairs, several in a row: p, q, and what has to be added to p's picture."""
    cell, names = _cell_width(shown.pictures), shown.names
    labels = [f"{names[p]} → {names[q]}" for p, q in pairs]
    group = max(3 * (cell + _GAP), 1.05 * max(text_width(text, LABEL) for text in labels)) + 0.25
    columns = min(len(pairs), _PAIRS_PER_ROW)
    rows, pitch = -(-len(pairs) // columns), _SIDE + line_height(LABEL) + 0.12
    left = 0.15
    width = max(left + columns * group + 0.5, 3.2)
    figure, _, bottom = _titled(width, rows * pitch + 0.05, words)
    for n, ((p, q), label) in enumerate(zip(pairs, labels, strict=True)):
        x, y = left + n % columns * group, bottom + (rows - 1 - n // columns) * pitch
        _write(figure, (x, y + _SIDE + 0.04), label, va="bottom")
        for j, pair in enumerate(((p, p), (q, q), (p, q))):
            _show_cell(figure, (x + j * (cell + _GAP), y, cell, _SIDE), shown, pair)
    top = bottom + (rows - 1) * pitch + _SIDE
    _show_unit(figure, (left + columns * group - 0.1, top), shown.unit)
    return figure


def _titled(width: float, body: float, words: _Words) -> tuple[Figure, tuple[float, float], float]:
    """A figure with title and note, its width and height, and where the body begins."""
    title, note = words
    lines = wrapped(note or "", 0.95 * (width - 0.2), CAPTION)
    bottom = 0.12 + line_height(CAPTION) * len(lines)
    figure, size = titled_figure(width, bottom + body, title)
    figure.text(
        0.1 / size[0], 0.06 / size[1], "\n".join(lines), va="bottom", fontsize=CAPTION, color="0.3"
    )
    return figure, size, bottom


def _write(figure: Figure, place: tuple[float, float], text: str, **style: Any) -> None:
    """A text at a place in inches."""
    x, y = place / figure.get_size_inches()
    figure.text(x, y, text, fontsize=LABEL, **style)


def _cell_width(pictures: Tensor) -> float:
    return _SIDE * pictures.shape[3] / pictures.shape[2]


def _show_cell(
    figure: Figure,
    place: tuple[float, float, float, float],
    shown: _Shown,
    pair: Pair,
) -> None:
    """A class's picture, or what is added from p to q, at a place in inches; empty without it."""
    width, height = figure.get_size_inches()
    x, y, run, rise = place
    axes = figure.add_axes((x / width, y / height, run / width, rise / height))
    p, q = pair
    if p == q:
        show_picture(axes, shown.pictures[p], "")
    elif pair in shown.added:
        values = shown.added[pair].detach().double().sum(0).cpu() / shown.unit
        axes.imshow(values.numpy(), cmap=BLUE_TO_RED, vmin=-1, vmax=1, interpolation="nearest")
    draw_frame(axes)


def _show_unit(figure: Figure, corner: tuple[float, float], unit: float) -> None:
    """The colour bar of differences, its upper left corner given in inches."""
    width, height = figure.get_size_inches()
    place = corner[0] / width, (corner[1] - _SIDE) / height, _BAR / width, _SIDE / height
    _show_bar(figure.add_axes(place), [f"−{unit:.2g}", "0", f"+{unit:.2g}"])


def _show_bar(axes: Axes, ticks: Sequence[str]) -> None:
    axes.imshow(
        np.linspace(1, -1, 101)[:, None], cmap=BLUE_TO_RED, vmin=-1, vmax=1, aspect="auto",
        extent=(0, 1, -1, 1),
    )  # fmt: skip
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks([-0.94, 0, 0.94], ticks, fontsize=CAPTION)
    axes.tick_params(length=0, pad=1.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
