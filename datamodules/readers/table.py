"""Tables of files and labels, as CSV."""

from __future__ import annotations

import csv
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from lightning_ecinn.datamodules.checks import DataNotFoundError
from lightning_ecinn.datamodules.readers.files import Archive, Folder, some

__all__ = ["Table", "read_table"]


class Table:
    """Rows of text under named columns.

    Args:
        path: what to call the table in messages.
        names: the columns' names.
        rows: their values, as many in each row.
    """

    def __init__(self, path: str, names: list[str], rows: list[list[str]]) -> None:
        self.path = path
        self.names = names
        self.rows = rows

    def __str__(self) -> str:
        return self.path

    def column(self, name: str, argument: str) -> list[str]:
        """Return a column without surrounding blanks.

        Args:
            name: the column.
            argument: what the user calls it, for messages.

        Raises:
            ValueError: there is no such column, or a row has nothing in it.
        """
        if name not in self.names:
            close = get_close_matches(name, self.names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(
                f"{argument} is {name!r}, but the columns of {self} are "
                f"{', '.join(map(repr, self.names))}{hint}"
            )
        place = self.names.index(name)
        values = [row[place].strip() for row in self.rows]
        if "" in values:
            raise ValueError(
                f"{argument} {name!r} of {self} is empty in row {2 + values.index('')}: fill it "
                "in, or remove the row."
            )
        return values

    def unique(self, name: str, argument: str) -> list[str]:
        """Return a column in which nothing may be there twice; raises ValueError as `column`."""
        values = self.column(name, argument)
        first: dict[str, int] = {}
        for row, value in enumerate(values, start=2):
            if first.setdefault(value, row) != row:
                raise ValueError(
                    f"{self} has {value!r} in row {first[value]} and in row {row}: keep one of "
                    "them, or the same picture could be trained on and tested with."
                )
        return values


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
    reader = csv.reader(StringIO(text), delimiter=delimiter, skipinitialspace=True)
    lines = [line for line in reader if any(line)]
    if len(lines) < 2:
        raise ValueError(
            f"{path} has {len(lines)} lines: give one with the columns' names and a row for each "
            "picture."
        )
    names, *rows = lines
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise ValueError(
                f"Row {number} of {path} has {len(row)} values for {len(names)} columns: put "
                f"quotes around values that contain {delimiter!r}."
            )
    return Table(path, [column.strip() for column in names], rows)


def _content(files: Folder | Archive, name: str) -> tuple[str, bytes]:
    if files.stamp(name) is not None:
        return f"{files}/{name}", files.read(name)
    path = Path(name).expanduser()
    if path.is_file():
        return str(path), path.read_bytes()
    held = files.within("")
    tables = [one for one in held if one.lower().endswith((".csv", ".tsv", ".txt"))]
    raise DataNotFoundError(
        f"csv is {name!r}, but {files} has no such file: it holds {some(tables or held, 8)}."
    )
