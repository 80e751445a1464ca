"""How much one page shows."""

from __future__ import annotations

__all__ = ["room"]

_PICTURES, _PAIRS = 20, 200
"""Pictures, and pictures times classes, of one page at most: it is to stay a few megabytes."""


def room(num_classes: int) -> int:
    """Pictures that a page has room for, each with its ways to so many classes; at least one.

    Example:
        >>> room(2), room(10), room(40), room(1000)
        (20, 20, 5, 1)
    """
    return max(min(_PICTURES, _PAIRS // num_classes), 1)
