"""What ``--ckpt_path`` names, if it is there."""

from __future__ import annotations

from pathlib import Path

from lightning_ecinn import shipped

__all__ = ["given_checkpoint"]


def given_checkpoint(which: str) -> Path:
    """The checkpoint of a path, or of the name of a model that ships with the package.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = shipped.resolve(which)
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "there is no such file"
        raise FileNotFoundError(
            f"--ckpt_path {which}: {what}. Give the path of a .ckpt file, or "
            '"last" or "best" for the newest of this experiment.'
        )
    return path
