"""Sizes of text in figures, breaking it into lines, and showing anyone's text as it is."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from matplotlib import rc_context
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from lightning_ecinn.plain_text import plain

__all__ = [
    "CAPTION",
    "LABEL",
    "TITLE",
    "drawable",
    "fitted_labels",
    "line_height",
    "posterior_percent",
    "text_width",
    "verbatim",
    "wrapped",
]

P = ParamSpec("P")
T = TypeVar("T")

TITLE, LABEL, CAPTION = 9, 8, 6.5
"""Font sizes, points."""


def verbatim(draw: Callable[P, T]) -> Callable[P, T]:
    """A function that draws, in whose texts "$" is a character like any other: no formulas."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with rc_context({"text.parse_math": False}):
            return draw(*args, **kwargs)

    return drawn


def drawable(text: str) -> str:
    r"""The text with escapes for what the font does not have, and for what is no character.

    Names that a font can't show would all become the same boxes. Matplotlib's setting
    ``font.family`` may name fonts that have more.

    Example:
        >>> drawable("3 → 8"), drawable("猫")
        ('3 → 8', '\\u732b')
    """
    if text.isascii() and text.isprintable():
        return text
    known = _characters(tuple(FontProperties().get_family()))
    return "".join(
        char if ord(char) in known else char.encode("ascii", "backslashreplace").decode()
        for char in plain(text)
    )


@lru_cache
def _characters(families: tuple[str, ...]) -> frozenset[int]:
    """What at least one of the fonts has."""
    fonts = (get_font(findfont(FontProperties(family=[family]))) for family in families)
    return frozenset().union(*(font.get_charmap() for font in fonts))


def line_height(font_size: float) -> float:
    """Height of a line of text, inches."""
    return 1.45 * font_size / 72


@lru_cache(maxsize=4096)
def text_width(text: str, font_size: float) -> float:
    """Width of a text, inches."""
    if not text.strip():
        return 0.0
    properties = FontProperties(size=font_size)
    return text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0] / 72


def wrapped(text: str, width: float, font_size: float) -> list[str]:
    """The text in lines that fit into a width in inches."""
    text = drawable(text)
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
    words = " ".join(map(drawable, labels)).split()
    longest = max((text_width(word, LABEL) for word in words), default=0)
    size = LABEL * min(max(0.95 * width / (longest or 0.5), 0.65), 1)
    lines = [wrapped(label, width, size) for label in labels]
    return lines, size, line_height(size) * max(map(len, lines), default=0)


def posterior_percent(probability: float) -> str:
    """A posterior in percent; near 0 and 1 without pretending to be either."""
    percent = 100 * probability
    return ">99.9 %" if percent > 99.9 else "<0.1 %" if percent < 0.1 else f"{percent:.1f} %"
