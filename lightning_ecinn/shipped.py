"""What ships with the package, found by name: experiments and trained models."""

from __future__ import annotations

import os
from importlib.util import find_spec
from os import PathLike, fspath
from pathlib import Path

__all__ = ["FOLDER", "MODELS", "PRETRAINED", "existing", "find", "resolve"]

# Asked for and not imported: in a checkout the folder lies beside this package.
_spec = find_spec("lightning_ecinn.experiments")
assert _spec is not None
assert _spec.submodule_search_locations is not None

FOLDER = Path(_spec.submodule_search_locations[0])
MODELS = FOLDER / "models"
PRETRAINED = "pretrained:"
"""What begins the name of a model that ships with the package, such as pretrained:mnist."""


def find(name: str) -> Path | None:
    """Return the file of this name: as given if it is there, else the shipped one, else None."""
    given = resolve(name)
    return next((path for path in (given, FOLDER / given) if os.path.isfile(path)), None)


def resolve(name: str | PathLike[str]) -> Path:
    """Return the path of a model that ships with the package, or else what was given as a path.

    Raises:
        ValueError: there is no such model; says which there are.
    """
    given = fspath(name)
    if not given.startswith(PRETRAINED):
        return Path(os.path.expanduser(given))  # a stranger's ~name stays as it is
    path = MODELS / f"{given.removeprefix(PRETRAINED)}.ckpt"
    if not path.is_file():
        names = ", ".join(f"{PRETRAINED}{p.stem}" for p in sorted(MODELS.glob("*.ckpt")))
        raise ValueError(f"{given}: there is no such model; those that ship are {names}.")
    return path


def existing(name: str | PathLike[str], remedy: str) -> Path:
    """Return the path of a checkpoint that is there.

    Args:
        name: a path, or the name of a model that ships with the package.
        remedy: what to do where there is none, for the message.

    Raises:
        FileNotFoundError: if there is no such file; says the remedy.
        ValueError: no model of this name ships.
    """
    path = resolve(name)
    if not path.is_file():
        what = ", which is a folder" if path.is_dir() else ""
        raise FileNotFoundError(f"No checkpoint at {path.absolute()}{what}: {remedy}.")
    return path
