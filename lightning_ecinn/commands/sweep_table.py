"""A sweep's runs side by side: a table for a terminal, for Markdown and for programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lightning_ecinn.commands.sweep import Run, Sweep
from lightning_ecinn.figures.tables import as_csv, as_markdown
from lightning_ecinn.whole_files import write_whole

__all__ = ["sweep_rows", "write_tables"]

_Cell = Callable[[Run], float | None]


def _metric(name: str, of: Callable[[float], float] = lambda value: value) -> _Cell:
    def cell(run: Run) -> float | None:
        value = run.metrics.get(name)
        return None if value is None else of(value)

    return cell


_COLUMNS: dict[str, tuple[_Cell, str]] = {
    "test error, %": (_metric("test/accuracy", lambda share: 100 * (1 - share)), ".2f"),
    "bpd_paper": (_metric("test/bpd_paper"), ".3f"),
    "bpd": (_metric("test/bpd"), ".3f"),
    "valid, %": (_metric("test/validity", lambda share: 100 * share), ".2f"),
    "minutes": (lambda run: run.seconds / 60, ".1f"),
}
"""What the table shows of each run, where any has it."""


def sweep_rows(sweep: Sweep) -> list[list[str]]:
    """The heading, and a row for each run: values, numbers, and how it ended.

    ``bpd_paper`` is in the units of the paper's Table 1, ``bpd`` the exact bits per dimension.

    Example:
        >>> sweep = Sweep(Path("runs"), [], {"model.beta": ["1", "3"]})
        >>> sweep.runs[0].metrics = {"test/accuracy": 0.99}
        >>> sweep_rows(sweep)[1]
        ['1', '1.00', '0.0', 'waiting']
    """
    shown = {
        name: [
            (f"{value:{form}}" if (value := cell(run)) is not None else "–") for run in sweep.runs
        ]
        for name, (cell, form) in _COLUMNS.items()
        if any(cell(run) is not None for run in sweep.runs)
    }
    heading = [*(name.removeprefix("model.") for name in sweep.grid), *shown, "status"]
    return [
        heading,
        *(
            [*run.values.values(), *(cells[i] for cells in shown.values()), run.status]
            for i, run in enumerate(sweep.runs)
        ),
    ]


def write_tables(sweep: Sweep) -> list[Path]:
    """Write sweep.md, the table, and sweep.csv, which has every metric; sweep.json is there.

    Raises:
        WriteError: one can't be written.
    """
    metrics = sorted({name for run in sweep.runs for name in run.metrics})
    header = [*sweep.grid, "status", "seconds", "folder", *metrics]
    rows = [
        [*run.values.values(), run.status, run.seconds, run.name, *map(run.metrics.get, metrics)]
        for run in sweep.runs
    ]
    texts = {"sweep.md": as_markdown(sweep_rows(sweep)) + "\n", "sweep.csv": as_csv(header, rows)}
    for name, text in texts.items():
        with write_whole(sweep.folder / name) as file:
            file.write(text.encode())
    return [sweep.folder / name for name in texts]
