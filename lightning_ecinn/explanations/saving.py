"""Counterfactuals as files: pictures, panels and tables; nothing is overwritten."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.explanations.panels import printed
from lightning_ecinn.explanations.rows import Row, picture_names, result_rows, step_names
from lightning_ecinn.figures import PanelPrinter, as_csv, as_json
from lightning_ecinn.metrics.two_sample import in_8_bits
from lightning_ecinn.pictures.encode import png_bytes
from lightning_ecinn.whole_files import write_whole

__all__ = ["Saved", "picture_file", "save", "save_pictures", "save_tables"]


def save(
    steps: Sequence[Counterfactual],
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    called: Sequence[str] | None = None,
) -> list[Path]:
    """Write every counterfactual as a PNG in 8 bits, a panel for each picture, and both tables.

    Args:
        steps: of the same images and targets, at several steps.
        folder: where to; made if it is not there.
        names: of the pictures, which their files are called after.
        called: what the steps are called.

    Returns:
        The files.

    Raises:
        ValueError: one of them is there already.
        WriteError: they can't be written.
    """
    called = step_names(steps, called)
    pictures = save_pictures(steps, folder, names=names, called=called)
    tables = save_tables(pictures.rows, folder, {"class_names": list(steps[0].class_names)})
    return [*pictures.files, *tables]


class Saved(NamedTuple):
    """Pictures that were written."""

    rows: list[Row]
    """Those of `result_rows`, each with the ``file`` of its counterfactual."""
    files: list[Path]


def save_pictures(
    steps: Sequence[Counterfactual],
    folder: Path,
    *,
    names: Sequence[str] | None = None,
    called: Sequence[str] | None = None,
    first: int = 0,
) -> Saved:
    """Write every counterfactual as a PNG in 8 bits, and a panel for each picture.

    Args:
        steps: of the same images and targets, at several steps.
        folder: where to.
        names: of the pictures, which their files are called after.
        called: what the steps are called.
        first: number of the first picture, which the files' names begin with.

    Raises:
        ValueError: one of the files is there already.
        WriteError: they can't be written.
    """
    names, called = picture_names(steps[0], names), step_names(steps, called)
    rows = result_rows(steps, names=names, called=called)
    files = _picture_files(rows, names, folder, first)
    content = dict(zip(files, map(_png, _pictures(steps)), strict=True))
    printer, of_picture = PanelPrinter(), len(rows) // len(names)
    for i, name in enumerate(names):
        path = folder / f"{first + i:03}-{_safe(Path(name).stem)}-panel.png"
        said = rows[i * of_picture : (i + 1) * of_picture]
        content[path] = printed(printer, [cf[i] for cf in steps], said, title=name)
    _write(content)
    rows = [{**row, "file": path.name} for row, path in zip(rows, files, strict=True)]
    return Saved(rows, list(content))


def save_tables(rows: Sequence[Row], folder: Path, about: Mapping[str, Any]) -> list[Path]:
    """Write ``results.json`` and ``results.csv``.

    Args:
        rows: of `save_pictures`.
        folder: where to.
        about: what else ``results.json`` is to say, by name.

    Raises:
        ValueError: one of the files is there already.
        WriteError: they can't be written.
    """
    table = as_csv(list(rows[0]), [list(row.values()) for row in rows]) if rows else ""
    content = {
        folder / "results.json": as_json({**about, "counterfactuals": list(rows)}).encode(),
        folder / "results.csv": table.encode(),
    }
    _write(content)
    return list(content)


def _write(content: Mapping[Path, bytes]) -> None:
    for path in content:
        if path.exists():
            raise ValueError(
                f"{path} is there already, and nothing is overwritten: give another folder."
            )
    for path, data in content.items():
        with write_whole(path) as file:
            file.write(data)


def picture_file(number: int, name: str, row: Row) -> str:
    """The file of a counterfactual: number and name of its picture, target and step."""
    words = (Path(name).stem, f"to-{row['target']}", row["step"])
    return "-".join((f"{number:03}", *map(_safe, words))) + ".png"


def _safe(text: str) -> str:
    """Letters, digits, points and dashes: what a file's name may have everywhere."""
    return re.sub(r"[^\w.-]+", "_", text).strip("._")[:60] or "_"


def _picture_files(
    rows: Sequence[Row], names: Sequence[str], folder: Path, first: int
) -> list[Path]:
    of_picture = len(rows) // len(names)
    files = [
        folder / picture_file(first + i // of_picture, names[i // of_picture], row)
        for i, row in enumerate(rows)
    ]
    taken: dict[Path, int] = {}
    for i, path in enumerate(files):  # class names that differ only in what files can't have
        taken[path] = taken.get(path, 0) + 1
        if taken[path] > 1:
            files[i] = path.with_stem(f"{path.stem}-{taken[path]}")
    return files


def _pictures(steps: Sequence[Counterfactual]) -> list[Tensor]:
    """Each counterfactual (C, H, W), in the order of `result_rows`."""
    of_steps = [cf.image_8bit.flatten(0, cf.image.ndim - 4) for cf in steps]
    return [picture for pictures in zip(*of_steps, strict=True) for picture in pictures]


def _png(picture: Tensor) -> bytes:
    return png_bytes(in_8_bits(picture).cpu().permute(1, 2, 0).numpy())
