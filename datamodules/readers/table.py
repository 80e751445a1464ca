"""Tables of files and labels, as CSV."""

from __future__ import annotations

import csv
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from lightning_ecinn.datamodules.checks import DataNotFoundError
from lightning_ecinn.datamodules.readers.files import Archive, Folder, some
from lightning_ecinn.datamodules.readers.paths import OutsideError, path_within
from lightning_ecinn.plain_text import short

__all__ = ["Table", "read_table"]

_NO_VALUE = ("", "nan", "na", "n/a", "#n/a", "<na>", "null")
"""What pandas, R and spreadsheets write where there is nothing, in any case."""


class Table:
    """Rows of text under named columns.

    Args:
        path: what to call the table in messages.
        names: the columns' names.
        rows: their values, as many in each row.
        lines: where in the file each row is, for messages.
    """

    def __init__(
        self, path: str, names: list[str], rows: list[list[str]], lines: list[int]
    ) -> None:
        self.path = path
        self.names = names
        self.rows = rows
        self.lines = lines

    def __str__(self) -> str:
        return self.path

    def column(self, name: str, argument: str) -> list[str]:
        """Return a column without surrounding blanks.

        Args:
            name: the column.
            argument: what the user calls it, for messages.

        Raises:
            ValueError: there is no such column, or two, or a row has nothing in it.
        """
        place = self._place(name, argument)
        values = [row[place].strip() for row in self.rows]
        lines = zip(self.lines, values, strict=True)
        empty = [str(line) for line, value in lines if value.lower() in _NO_VALUE]
        if empty:
            said = sorted({value for value in values if value.lower() in _NO_VALUE} - {""})
            raise ValueError(
                f"{argument} {name!r} of {self} is empty"
                f"{f' (or says {some(list(map(repr, said)))})' if said else ''} in "
                f"row{'s' if len(empty) > 1 else ''} {some(empty, 8)}: fill it in, or remove what "
                "has no value."
            )
        return values

    def pictures(self, name: str, argument: str, files: Folder | Archive) -> list[str]:
        """Return a column of files, each by the one name that it has within `files`.

        Raises:
            ValueError: a file is outside of them or there twice, or as `column`.
        """
        values = self.column(name, argument)
        paths = []
        first: dict[str, tuple[str, int]] = {}
        for row, value in zip(self.lines, values, strict=True):
            try:
                path = path_within(files, value)
            except OutsideError:
                raise ValueError(
                    f"{self} has {value!r} in row {row}, which is outside of {files}: name files "
                    "by their paths from there, and move in what is elsewhere."
                ) from None
            other, before = first.setdefault(path, (value, row))
            if before != row:
                again = "" if value == other else f" as {value!r}"
                raise ValueError(
                    f"{self} has {other!r} in row {before} and{again} in row {row}: keep one of "
                    "them, or the same picture could be trained on and tested with."
                )
            paths.append(path)
        return paths

    def _place(self, name: str, argument: str) -> int:
        if self.names.count(name) > 1:
            raise ValueError(f"{argument} is {name!r}, but {self} has two columns of this name.")
        if name not in self.names:
            close = get_close_matches(name, self.names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(
                f"{argument} is {name!r}, but the columns of {self} are "
                f"{', '.join(map(repr, self.names))}{hint}"
            )
        return self.names.index(name)


def read_table(files: Folder | Archive, name: str) -> Table:
    """Read a CSV file with commas, semicolons or tabs.

    Args:
        files: where it is.
        name: its name in there, or the path of a file anywhere.

    Raises:
        DataNotFoundError: there is no such file.
        ValueError: it has no rows, or its rows differ in length.
    """
    path, content = _content(files, name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8: save it as such.") from None
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error as error:  # such as a quote that is never closed
        raise ValueError(f"{path} is damaged in row {reader.line_num} ({short(error)}).") from None
    if len(rows) < 2:
        raise ValueError(
            f"{path} has {len(rows)} lines: give one with the columns' names and a row for each "
            "picture."
        )
    (_, names), *rows = rows
    for number, row in rows:
        if len(row) != len(names):
            raise ValueError(
                f"Row {number} of {path} has {len(row)} values for {len(names)} columns: put "
                f"quotes around values that contain {delimiter!r}."
            )
    lines, values = zip(*rows, strict=True)
    return Table(path, [column.strip() for column in names], list(values), list(lines))


def _content(files: Folder | Archive, name: str) -> tuple[str, bytes]:
    if files.stamp(name) is not None:
        return str(Path(str(files), name)), _read(files, name)
    path = Path(name).expanduser()
    if path.is_file():
        return str(path), _read(Folder(path.parent), path.name)
    held = files.within("")
    tables = [one for one in held if one.lower().endswith((".csv", ".tsv", ".txt"))]
    raise DataNotFoundError(
        f"csv is {name!r}, but {files} has no such file: it holds {some(tables or held, 8)}. "
        "Null takes the names of folders as labels."
    )


def _read(files: Folder | Archive, name: str) -> bytes:
    try:
        return files.read(name)
    except ValueError as error:
        raise ValueError(f"{Path(str(files), name)} cannot be read: {short(error, 300)}.") from None
