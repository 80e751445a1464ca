"""Matrices of numbers: correlations between models, one number for each pair of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_ecinn.figures.canvas import BLUE_TO_RED, blank_figure, titled_figure
from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    TITLE,
    line_height,
    text_width,
    verbatim,
    wrapped,
)

__all__ = ["class_matrix", "correlation_matrices", "show_numbers", "two_decimals"]

_CELL = 0.42
"""Side of a cell, in inches like everything here."""
_NAME_WIDTH = 1.2
_LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue."""

Matrix = Sequence[Sequence[float | None]]


@verbatim
def correlation_matrices(
    matrices: Mapping[str, Matrix], names: Sequence[str], *, title: str | None = None
) -> Figure:
    """Square matrices of numbers in [-1, 1] side by side, the numbers written in the cells.

    Args:
        matrices: (K, K) for each method; None where there is no number.
        names: K names for rows and columns. Where one is longer than two characters, the columns'
            are numbers that the rows' names start with.
        title: text above everything; broken into lines where it is long.

    Returns:
        The figure, on an Agg canvas: no display is needed.
    """
    numbered = any(len(name) > 2 for name in names)
    columns = [str(j + 1) for j in range(len(names))] if numbered else list(names)
    labels = [f"{i + 1} {name}" for i, name in enumerate(names)] if numbered else names
    labels = ["\n".join(wrapped(label, _NAME_WIDTH, LABEL)) for label in labels]
    left = 0.2 + max(text_width(line, LABEL) for label in labels for line in label.split("\n"))
    headers = [wrapped(method, max(_CELL * len(names), 0.9), LABEL) for method in matrices]
    side = _CELL * len(names)
    pitch = max(side, 0.9) + 0.2
    width = max(left + len(matrices) * pitch, 2.8)
    title_lines = wrapped(title or "", width - 0.2, TITLE)
    header = line_height(LABEL) * (max(map(len, headers)) + 1)
    top = 0.15 + line_height(TITLE) * len(title_lines) + header
    height = top + side + 0.12
    figure = blank_figure(width, height, title_lines)
    for j, (matrix, lines) in enumerate(zip(matrices.values(), headers, strict=True)):
        place = (left + j * pitch) / width, 0.12 / height, side / width, side / height
        axes = figure.add_axes(place)
        axes.set_title("\n".join(lines), fontsize=LABEL, pad=15)
        _show_matrix(axes, matrix, labels if j == 0 else [""] * len(names), columns)
    return figure


@verbatim
def class_matrix(
    values: Tensor, class_names: Sequence[str], *, title: str | None = None, percent: bool = False
) -> Figure:
    """One number for each pair of classes, written in the cells; grey where there is none.

    Shares are coloured from the lowest to the highest, at least 10 percentage points apart; other
    numbers blue below 0 and red above, up to the largest absolute value or 1.

    Args:
        values: (K, K), source p in rows and target q in columns; NaN where there is no number, as
            on the diagonal.
        class_names: K names, broken into lines where they are long.
        title: text above everything; broken into lines where it is long.
        percent: whether the values are shares in [0, 1], to be written in percent.

    Raises:
        ValueError: for another shape than (K, K).
    """
    num_classes = len(class_names)
    _check_square(values, num_classes)
    names = [wrapped(name, _NAME_WIDTH, LABEL) for name in class_names]
    name_width = max(text_width(line, LABEL) for lines in names for line in lines)
    name_height = line_height(LABEL) * max(map(len, names))
    cell = max(_CELL, name_height + 0.06)
    upright = name_width > 0.9 * cell
    side = num_classes * cell
    header = 0.2 + (name_width if upright else name_height) + line_height(LABEL)
    left = 0.25 + line_height(LABEL) + name_width
    spare = max(2.8 - left - side - 0.15, 0)
    left += spare / 2
    figure, (width, height) = titled_figure(
        left + side + 0.15 + spare / 2, side + header + 0.1, title
    )
    axes = figure.add_axes((left / width, 0.1 / height, side / width, side / height))
    _show_pairs(axes, values.detach().double().cpu().numpy(), percent)
    _name_classes(axes, ["\n".join(lines) for lines in names], upright)
    return figure


def show_numbers(
    axes: Axes,
    values: ArrayLike,
    text: Callable[[float], str],
    colours: str,
    limits: tuple[float, float],
) -> None:
    """A matrix in colours with the numbers in its cells; grey and "–" where it is NaN.

    The names of the columns belong above it.

    Args:
        axes: where to draw.
        values: (K, K).
        text: what to write for a number.
        colours: name of a colour map of matplotlib.
        limits: the numbers of its first and its last colour.
    """
    numbers = np.asarray(values, dtype=float)
    image = axes.imshow(np.ma.masked_invalid(numbers), colours, vmin=limits[0], vmax=limits[1])
    axes.set_facecolor("0.9")
    for (i, j), number in np.ndenumerate(numbers):
        missing = not np.isfinite(number)
        dark = not missing and np.dot(image.to_rgba(number)[:3], _LUMINANCE) < 0.5
        axes.text(
            j, i, "–" if missing else text(number), ha="center", va="center", fontsize=CAPTION,
            color="white" if dark else "black",
        )  # fmt: skip
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def two_decimals(number: float) -> str:
    """The number with two decimals, never "-0.00"."""
    return f"{round(number, 2) + 0.0:.2f}"


def _show_matrix(axes: Axes, matrix: Matrix, labels: Sequence[str], columns: Sequence[str]) -> None:
    values = [[np.nan if value is None else value for value in row] for row in matrix]
    show_numbers(axes, values, two_decimals, BLUE_TO_RED, (-1, 1))
    axes.set_xticks(range(len(columns)), columns, fontsize=CAPTION)
    axes.set_yticks(range(len(labels)), labels, fontsize=LABEL)


def _check_square(values: Tensor, num_classes: int) -> None:
    if values.shape != (num_classes, num_classes):
        raise ValueError(
            f"A matrix of {num_classes} classes must be ({num_classes}, {num_classes}), got "
            f"{tuple(values.shape)}."
        )


def _name_classes(axes: Axes, labels: Sequence[str], upright: bool) -> None:
    axes.set_xticks(range(len(labels)), labels, fontsize=LABEL, rotation=90 if upright else 0)
    axes.set_yticks(range(len(labels)), labels, fontsize=LABEL)
    axes.set_xlabel("target q", fontsize=LABEL, labelpad=7)
    axes.set_ylabel("source p", fontsize=LABEL, labelpad=7)


def _show_pairs(axes: Axes, values: np.ndarray, percent: bool) -> None:
    known = values[np.isfinite(values)]
    if percent:
        high = max(known.max(initial=0), 0.1)
        show_numbers(
            axes, values, lambda share: f"{100 * share:.1f}", "Blues",
            (min(known.min(initial=1), high - 0.1), high),
        )  # fmt: skip
        axes.text(
            -0.5, -0.62, "% ", ha="right", va="bottom", fontsize=LABEL, color="0.3",
        )  # fmt: skip
    else:
        end = max(np.abs(known).max(initial=0), 1)
        show_numbers(axes, values, two_decimals, BLUE_TO_RED, (-end, end))
