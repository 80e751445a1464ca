"""Names of earlier versions in configurations, which are still understood.

What is the user's own is left alone: only names that were ours are translated.
"""

from __future__ import annotations

import pydoc
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning_ecinn import callbacks, datamodules, shipped, training
from lightning_ecinn.models.checkpoints import rename_earlier

__all__ = ["translate"]

_MOVED = {
    "callbacks": callbacks.__all__,
    "datamodules": datamodules.__all__,
    "lightning_ecinn.modules": training.__all__,
}
"""Packages that had another name, and the classes that they had."""


def translate(content: Any) -> Any:
    """A configuration with the present names of classes and settings; the rest is as it was."""
    if isinstance(content, list):
        return [translate(entry) for entry in content]
    if not isinstance(content, Mapping):
        return content
    result = {key: translate(value) for key, value in content.items()}
    if isinstance(path := result.get("class_path"), str):
        result["class_path"] = _present_path(path)
        if result["class_path"].rpartition(".")[2] == "IBINN" and result.get("init_args"):
            rename_earlier(result["init_args"])
    return result


def _present_path(class_path: str) -> str:
    """``callbacks.CounterfactualGrid`` or ``callbacks.counterfactual_grid.CounterfactualGrid``."""
    name = class_path.rpartition(".")[2]
    for package, names in _MOVED.items():
        if class_path.startswith(f"{package}.") and name in names and not _is_theirs(class_path):
            return f"lightning_ecinn.{name}"
    return class_path


def _is_theirs(class_path: str) -> bool:
    """Whether the user has a class of that name; in a checkout our own folders have it too."""
    package = find_spec(class_path.partition(".")[0])
    if package is None:
        return False
    places = [package.origin, *(package.submodule_search_locations or ())]
    # Looked at before anything is imported: ours would be there twice.
    if any(Path(place).is_relative_to(shipped.FOLDER.parent) for place in places if place):
        return False
    try:
        return pydoc.locate(class_path) is not None
    except pydoc.ErrorDuringImport:  # theirs, and the parser will say what is wrong with it
        return True
