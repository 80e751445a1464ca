"""Experiments: one complete, commented YAML each; and where they lie once installed."""

from pathlib import Path

FOLDER = Path(__file__).parent


def find(name: str) -> Path | None:
    """Return the file of this name: as given if it is there, else the shipped one, else None."""
    given = Path(name).expanduser()
    return next((path for path in (given, FOLDER / given) if path.is_file()), None)
