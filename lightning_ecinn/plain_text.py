"""Text of strangers, such as names of files and classes, made safe to print."""

from __future__ import annotations

from unicodedata import category

__all__ = ["plain", "short"]

_ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's control and format characters, halves of characters, ends of lines and paragraphs."""


def plain(text: str) -> str:
    r"""Return `text` with escapes for the characters that act on a terminal, or that it can't show.

    These colour, delete or overwrite what was printed, begin a line or reverse the writing.

    Example:
        >>> print(plain("benign\x1b[2K\rill"))
        benign\x1b[2K\rill
        >>> plain("naïve 肺")
        'naïve 肺'
    """
    if text.isprintable():
        return text
    return "".join(_escaped(char) if category(char) in _ACTING else char for char in text)


def short(text: object, limit: int = 120) -> str:
    """The first line of a text, such as an error's, :func:`plain` and at most `limit` characters.

    Example:
        >>> short("a" * 10 + chr(10) + "b", 8)
        'aaaaa...'
    """
    line = plain((str(text).strip().splitlines() or [""])[0])
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
