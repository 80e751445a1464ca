"""Averages as tables: for people and for programs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

from lightning_ecinn.evaluation.summary import MEASURES, Counts, Estimate

__all__ = ["as_csv", "as_markdown", "comparison_table"]


def comparison_table(
    estimates: Sequence[Estimate], counts: Sequence[Counts], *, intervals: bool = True
) -> list[list[str]]:
    """Measures as rows and steps as columns, the first row and column are headings.

    Args:
        estimates: all of them.
        counts: of each step.
        intervals: whether to write "mean [low, high]" or only the mean.
    """
    found = {(estimate.step, estimate.measure): estimate for estimate in estimates}
    steps = [count.step for count in counts]
    rows = [["", *steps]]
    rows.append(["counterfactuals", *(f"{count.exist:,}" for count in counts)])
    rows.append(["already the target", *(f"{count.already:,}" for count in counts)])
    rows.append(["without such a step", *(f"{count.undefined:,}" for count in counts)])
    for measure in MEASURES:
        if any((step, measure.key) in found for step in steps):
            cells = (found.get((step, measure.key)) for step in steps)
            rows.append([measure.title, *(
                "–" if cell is None else _text(cell, measure.scale, measure.digits, intervals)
                for cell in cells
            )])  # fmt: skip
    return rows


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its heading; the first column to the left, others to the right."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    rule = [":--", *["--:"] * (len(rows[0]) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [cells[0], rule, *cells[1:]])


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated values; numbers with all their digits, truth as 0 and 1.

    What is None or NaN is left empty: it is not known.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue()


def _text(estimate: Estimate, scale: float, digits: int, interval: bool) -> str:
    text = f"{scale * estimate.value:.{digits}f}"
    if not interval or estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{scale * estimate.low:.{digits}f}, {scale * estimate.high:.{digits}f}]"


def _plain(value: object) -> object:
    if value is None or value != value:  # NaN: unknown
        return ""
    return int(value) if isinstance(value, bool) else value
