"""Which picture files are meant: found before anything is read, without importing what reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

__all__ = ["find_pictures"]

ENDINGS = {
    *(".avif", ".bmp", ".gif", ".jpe", ".jpeg", ".jpg", ".jp2"),
    *(".png", ".pgm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}
"""What names of pictures end with, in folders; a file that is given by itself may have any name."""


def find_pictures(paths: Sequence[str | PathLike[str]]) -> list[Path]:
    """The files meant by files and folders, each once; those in folders sorted by name.

    Raises:
        ValueError: something is not there, or a folder has no picture.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        place = path.expanduser()
        if not place.is_dir():
            if not place.exists():
                raise ValueError(f"There is no file and no folder {place}.")
            found.setdefault(place.resolve(), place)
            continue
        inside = sorted(
            Path(folder, name)
            for folder, _, names in os.walk(place)
            for name in names
            if Path(name).suffix.lower() in ENDINGS and not name.startswith(".")
        )
        if not inside:
            raise ValueError(
                f"The folder {place} holds no picture: names of pictures end with "
                f"{', '.join(sorted(ENDINGS))}."
            )
        for file in inside:
            found.setdefault(file.resolve(), file)
    if not found:
        raise ValueError("No picture was given: name files or folders.")
    return list(found.values())
