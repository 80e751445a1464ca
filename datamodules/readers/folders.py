"""Pictures whose folders are their labels, as torchvision's ImageFolder has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from lightning_ecinn.datamodules.readers.files import Archive, Folder
from lightning_ecinn.datamodules.readers.table import Table
from lightning_ecinn.pictures.files import ENDINGS

__all__ = ["read_folders"]


def read_folders(files: Folder | Archive, splits: Collection[str]) -> Table:
    """A table of all pictures in folders: ``file``, ``label``, and ``split`` where folders name it.

    ``cat/1.png`` has the label cat, however deep it lies below; in ``train/cat/1.png`` the first
    folder is the split, if all first folders are such words. A folder around everything is seen
    through.

    Args:
        files: where they are.
        splits: words for splits, in lower case.

    Raises:
        ValueError: there are no folders with pictures.
    """
    names = list(_pictures(files, ""))
    parts = [PurePosixPath(name).parts for name in names]
    skipped = 0  # folders around everything
    while parts and len({p[skipped] for p in parts}) == 1 and min(map(len, parts)) > skipped + 2:
        skipped += 1
    deep = [p[skipped:] for p in parts]
    has_splits = bool(deep) and all(len(p) > 2 and p[0].lower() in splits for p in deep)
    first = int(has_splits)
    chosen = [i for i, p in enumerate(deep) if len(p) > first + 1]
    if not chosen:
        raise ValueError(
            f"csv is null, so that folders' names are the labels, but {files} has no folders with "
            "pictures: give the name of a table, or a folder for each class."
        )
    rows = [[names[i], deep[i][first], *([deep[i][0]] if has_splits else [])] for i in chosen]
    columns = ["file", "label", *(["split"] if has_splits else [])]
    return Table(str(files), columns, rows, list(range(1, len(rows) + 1)))


def _pictures(files: Folder | Archive, folder: str) -> Iterator[str]:
    """The names of all pictures in a folder and below."""
    for name in files.within(folder):
        if name.startswith((".", "__MACOSX")):
            continue
        path = f"{folder}/{name}" if folder else name
        if PurePosixPath(name).suffix.lower() in ENDINGS:
            yield path
        else:
            yield from _pictures(files, path)
