"""Sizes of text in figures, and breaking it into lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache

from matplotlib.textpath import TextPath

__all__ = [
    "CAPTION",
    "LABEL",
    "TITLE",
    "fitted_labels",
    "line_height",
    "posterior_percent",
    "text_width",
    "wrapped",
]

TITLE, LABEL, CAPTION = 9, 8, 6.5
"""Font sizes, points."""


def line_height(font_size: float) -> float:
    """Height of a line of text, inches."""
    return 1.45 * font_size / 72


@lru_cache(maxsize=4096)
def text_width(text: str, font_size: float) -> float:
    """Width of a text, inches."""
    return TextPath((0, 0), text, size=font_size).get_extents().width / 72 if text.strip() else 0.0


def wrapped(text: str, width: float, font_size: float) -> list[str]:
    """The text in lines that fit into a width in inches."""
    lines = [text] if text else []
    full_width = max(text_width(text, font_size), width)
    num_characters = round(1.5 * len(text) * width / full_width)  # more would hardly fit
    while num_characters > 1 and any(text_width(line, font_size) > width for line in lines):
        num_characters -= 1
        lines = textwrap.wrap(text, num_characters)
    return lines


def fitted_labels(labels: Sequence[str], width: float) -> tuple[list[list[str]], float, float]:
    """Labels of columns of a width in inches, broken into lines, smaller if a word is too long.

    Returns:
        The lines of each label, the font size in points, and the height of the highest in inches.
    """
    words = " ".join(labels).split()
    longest = max((text_width(word, LABEL) for word in words), default=0)
    size = LABEL * min(max(0.95 * width / (longest or 0.5), 0.65), 1)
    lines = [wrapped(label, width, size) for label in labels]
    return lines, size, line_height(size) * max(map(len, lines), default=0)


def posterior_percent(probability: float) -> str:
    """A posterior in percent; near 0 and 1 without pretending to be either."""
    percent = 100 * probability
    return ">99.9 %" if percent > 99.9 else "<0.1 %" if percent < 0.1 else f"{percent:.1f} %"
