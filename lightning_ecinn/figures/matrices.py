"""Matrices of correlations between models, one per method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lightning_ecinn.figures.text import CAPTION, LABEL, TITLE, line_height, text_width, wrapped

__all__ = ["correlation_matrices"]

_CELL = 0.42
"""Side of a cell, in inches like everything here."""
_NAME_WIDTH = 1.2

Matrix = Sequence[Sequence[float | None]]


def correlation_matrices(
    matrices: Mapping[str, Matrix], names: Sequence[str], *, title: str | None = None
) -> Figure:
    """Square matrices of numbers in [-1, 1] side by side, the numbers written in the cells.

    Args:
        matrices: (K, K) for each method; None where there is no number.
        names: K names for rows and columns; the columns' are numbers that the rows' names start
            with.
        title: text above everything; broken into lines where it is long.

    Returns:
        The figure, on an Agg canvas: no display is needed.
    """
    labels = [f"{i + 1} {name}" for i, name in enumerate(names)]
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
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(
        0.5, 1 - 0.06 / height, "\n".join(title_lines), ha="center", va="top", fontsize=TITLE
    )
    for j, (matrix, lines) in enumerate(zip(matrices.values(), headers, strict=True)):
        place = (left + j * pitch) / width, 0.12 / height, side / width, side / height
        axes = figure.add_axes(place)
        axes.set_title("\n".join(lines), fontsize=LABEL, pad=15)
        _show_matrix(axes, matrix, labels if j == 0 else [""] * len(names))
    return figure


def _show_matrix(axes: Axes, matrix: Matrix, labels: Sequence[str]) -> None:
    values = [[0.0 if value is None else value for value in row] for row in matrix]
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            text = "–" if value is None else f"{round(value, 2) + 0.0:.2f}"  # no "-0.00"
            colour = "white" if value is not None and abs(value) > 0.6 else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=CAPTION, color=colour)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(labels)), [str(j + 1) for j in range(len(labels))], fontsize=CAPTION)
    axes.set_yticks(range(len(labels)), labels, fontsize=LABEL)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
