"""What a table may call a file: one name for each, and none outside of the data."""

from __future__ import annotations

import os
import posixpath
import re

from lightning_ecinn.datamodules.readers.files import Archive, Folder

__all__ = ["OutsideError", "path_within"]


class OutsideError(ValueError):
    """A path leads out of a folder or an archive."""


def path_within(files: Folder | Archive, path: str) -> str:
    r"""Return the one name that a file has within `files`.

    So ``./a.png``, ``x/../a.png`` and ``x//..//a.png`` become ``a.png``, ``x\a.png`` of Windows
    becomes ``x/a.png`` unless there is a file with this backslash in its name, and an absolute path
    into a folder becomes the path from there.

    Raises:
        OutsideError: the path leads elsewhere.
    """
    if "\\" in path and files.stamp(path) is None:
        path = path.replace("\\", "/")
    inner = posixpath.normpath(path)
    if posixpath.isabs(inner) and isinstance(files, Folder):
        roots = (os.path.abspath(files.path), os.path.realpath(files.path))
        paths = [posixpath.relpath(inner, root) for root in roots]
        inner = min(paths, key=_leads_out)
    is_of_windows = re.match("[A-Za-z]:/", inner) and files.stamp(inner) is None
    if is_of_windows or _leads_out(inner):
        raise OutsideError(f"{path!r} is outside of {files}")
    return inner


def _leads_out(path: str) -> bool:
    return path == ".." or path.startswith(("../", "/"))
