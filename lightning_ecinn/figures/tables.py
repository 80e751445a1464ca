"""Rows of text as tables, and plain values: for a terminal, for Markdown and for programs."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from numbers import Real
from typing import Any

from lightning_ecinn.plain_text import plain

__all__ = ["as_csv", "as_json", "as_markdown", "text_table"]


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first one to the left, numbers to the right; safe to print."""
    rows = [list(map(plain, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if j == 0 else cell.rjust(width)
            for j, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its heading; the first column to the left, others to the right.

    What Markdown, HTML or a terminal would understand in a cell is shown as it is.
    """
    cells = [[_as_it_is(cell) for cell in row] for row in rows]
    rule = [":--", *["--:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [cells[0], rule, *cells[1:]])


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated values; numbers with all their digits, truth as 0 and 1.

    What is None or not finite is left empty: it is not known. Texts stay what they are.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue()


def as_json(content: Any) -> str:
    """Plain values as JSON, with null for every number that is not finite: JSON has none."""
    return json.dumps(_known(content), indent=1, allow_nan=False) + "\n"


def _known(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _known(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_known(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: object) -> object:
    if value is None or (isinstance(value, Real) and not math.isfinite(value)):
        return ""
    return int(value) if isinstance(value, bool) else value


def _as_it_is(cell: str) -> str:
    escaped = plain(cell).replace("\\", "\\\\").replace("|", "\\|")
    return escaped.replace("<", "&lt;").replace("`", "\\`")
