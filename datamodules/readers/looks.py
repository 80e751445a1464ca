"""What picture files look like, of a sample of them: how large they are, and whether all are grey.

Each rule is one function, its numbers the constants beside it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median_low
from typing import NamedTuple

import numpy as np
from PIL import Image

from lightning_ecinn.datamodules.readers.files import Files, some
from lightning_ecinn.pictures.decode import decode, picture_size

__all__ = ["Look", "find_channels", "find_resolution", "look_at_files"]

LOOKED_AT = 500
"""Files, spread over all: enough for a median, and a second's work."""

SIDES = (16, 32, 64)
"""Resolutions that a network of a few stages halves evenly, and learns within an hour."""

DIGITS = 28
"""The one other resolution: MNIST's, and of all data sets that were made like it."""

GREY_LEVELS = 2
"""By how much red, green and blue of a grey picture may differ: JPEG rounds them."""


class Look(NamedTuple):
    """One picture file: width and height in pixels, and whether it is grey."""

    size: tuple[int, int]
    is_grey: bool


def look_at_files(files: Files, names: Sequence[str]) -> list[Look]:
    """Look at up to 500 of the pictures, spread evenly; those that cannot be read are left out.

    Args:
        files: where they are.
        names: the pictures, each of which is there.

    Raises:
        ValueError: none of them can be read.
    """
    chosen = np.unique(np.linspace(0, len(names) - 1, LOOKED_AT).astype(int))
    sample = [names[i] for i in chosen]

    def work(name: str) -> Look | None:
        try:
            return _look(files.read(name))
        except MemoryError:  # not of the picture
            raise
        except Exception:  # decoders raise all sorts of things; the cache names each such file
            return None

    # Of large pictures, whose size is checked; see `decode`.
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        looks = [look for look in pool.map(work, sample) if look is not None]
    if not looks:
        raise ValueError(
            f"None of {len(sample)} pictures in {files} can be read ({some(sample)}), so neither "
            "their size nor their colour is known: give pictures such as PNG or JPEG."
        )
    return looks


def find_resolution(looks: Sequence[Look]) -> int:
    """The median of the shorter sides, rounded down to one of 16, 32 and 64; at least 16.

    Down, since enlarged pictures have no more in them, and cost the network four times as much;
    the median, since a few that differ must not decide. Where all are 28 x 28 it is 28.
    """
    if {look.size for look in looks} == {(DIGITS, DIGITS)}:
        return DIGITS
    side = median_low(min(look.size) for look in looks)
    return max((known for known in SIDES if known <= side), default=SIDES[0])


def find_channels(looks: Sequence[Look]) -> int:
    """1 where every picture is grey, whatever its file could hold; else 3.

    Not most of them: the colour of the others would be thrown away.
    """
    return 1 if all(look.is_grey for look in looks) else 3


def _look(content: bytes) -> Look:
    pixels = decode(content, SIDES[-1], 3).astype(int)
    is_grey = bool((pixels.max(0) - pixels.min(0) <= GREY_LEVELS).all())
    return Look(picture_size(content), is_grey)
