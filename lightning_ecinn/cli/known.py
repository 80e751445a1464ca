"""What the parser knows, written ahead: read without importing anything that takes seconds.

``known.json`` is what :func:`lightning_ecinn.cli.schema.make_schema` returns; ``python
tools/write_known.py`` writes it again, and a test holds both equal. Settings of Lightning are
among it, so that it counts only beside the version that it was written with.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["FILE", "known", "written_with"]

FILE = Path(__file__).with_name("known.json")
_LIBRARIES = ("pytorch-lightning", "jsonargparse")


def written_with() -> dict[str, str]:
    """The installed versions of the libraries whose settings the parser has."""
    return {name: _version(name) for name in _LIBRARIES}


@cache
def known() -> dict[str, Any] | None:
    """The schema of configurations; None beside other versions: the parser itself must say."""
    content: dict[str, Any] = json.loads(FILE.read_text())
    return content if content["x-written-with"] == written_with() else None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
