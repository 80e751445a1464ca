"""``sweep``: options of ``fit`` with several values, checked before anything is trained."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lightning_ecinn.cli.mistakes import refuse_mistakes
from lightning_ecinn.cli.sweep_words import read_grid
from lightning_ecinn.cli.words import PROGRAM, normalise, without_values
from lightning_ecinn.commands.sweep import SWEEP, Sweep, read_sweep, run_sweep, run_words
from lightning_ecinn.interruption import Interrupted
from lightning_ecinn.plain_text import plain
from lightning_ecinn.runs import runs_folder

__all__ = ["sweep"]

_DESCRIPTION = """\
Train once for each value of an option of `fit`, or for each combination of several options'
values, one run after the other, each in a folder of its own, and test each.

Options with several values are swept; all others go to every `fit` as they are. At the end there
is a table of all runs, here and in the sweep's folder: sweep.md, sweep.csv, sweep.json.

The same command with --out of a sweep that was stopped goes on: finished runs are kept, a stopped
one goes on from its last checkpoint.
"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} sweep --config mnist_small.yaml --model.beta 0.1 0.5 1 1.4265 3 10
  {PROGRAM} sweep --config quickstart.yaml --model.lr 1e-4 1e-3 --seed_everything 0 1 2
  {PROGRAM} figures --figure 10 --sweep runs/mnist_small-sweep/<time>

{PROGRAM} fit --help shows the options that there are. The exit status is 1 where runs failed.
"""


def sweep(words: Sequence[str]) -> None:
    """Run it.

    Args:
        words: what comes after ``sweep``.

    Raises:
        SystemExit: with status 1, if runs failed; with a signal's, if one stopped it.
        ValueError: a mistake in the words, or another sweep's folder.
    """
    if {"-h", "--help"} & {*words}:
        print(_help())
        return
    fit, grid, out = read_grid(words)
    made = _prepared(fit, grid, out)
    # What takes seconds comes after what may be misspelt.
    from lightning_ecinn.commands.sweep_table import sweep_rows, write_tables
    from lightning_ecinn.figures.tables import text_table

    same = shlex.join(without_values(words, "--out"))
    again = f"{PROGRAM} sweep {same} --out {shlex.quote(str(made.folder))}"
    try:
        run_sweep(made)
    except Interrupted as stop:
        write_tables(made)
        print(f"Stopped by {stop.name}: the sweep is not finished", file=sys.stderr)
        print(plain(f"  go on: {again}"), file=sys.stderr)
        raise SystemExit(stop.code) from None
    write_tables(made)
    print(f"\n{text_table(sweep_rows(made))}\nThis sweep lies in {plain(str(made.folder))}")
    if unfinished := [run.name for run in made.runs if run.status != "finished"]:
        said = f"Not finished: {' '.join(unfinished)}, see above. Try again: {again}"
        print(plain(said), file=sys.stderr)
        raise SystemExit(1)


def _prepared(fit: list[str], grid: dict[str, list[str]], out: str | None) -> Sweep:
    """The sweep in its folder, new or as far as it came, when every run's words are understood.

    Raises:
        ValueError: they are not, or the folder is another's.
    """
    if not any(word.partition("=")[0] == "--test_after_fit" for word in fit):
        fit = [*fit, "--test_after_fit=true"]
    folder = Path(out).expanduser().absolute() if out else None
    made = Sweep(folder or Path(), fit, grid)
    if folder is not None and (folder / SWEEP).exists():
        before = read_sweep(folder)
        _check_same(before, made)
        made = before
    for run in made.runs:
        refuse_mistakes(normalise(["fit", *run_words(made, run)]))  # type: ignore[arg-type]
    experiment = _parsed_experiment(made)
    if not (made.folder / SWEEP).exists() or folder is None:
        made.folder = _new_folder(folder, experiment)
        made.save()
    return made


def _parsed_experiment(made: Sweep) -> str:
    """The experiment's name, when the parser understands every run.

    Raises:
        SystemExit: with status 2, for a value of a wrong type, which was named in one sentence.
        ValueError: for other mistakes, and where all checkpoints would lie in one folder.
    """
    # Takes seconds, which what may be misspelt need not wait for.
    from lightning_ecinn.cli.parsed import parse_fit

    for run in made.runs:
        options = parse_fit(run_words(made, run))
        if options.checkpoint.dirpath is not None:
            raise ValueError(
                f"checkpoint.dirpath is {options.checkpoint.dirpath}, where the checkpoints of all "
                "runs would lie; leave it out: each lies in its run's folder."
            )
    return str(options.experiment)


def _check_same(before: Sweep, now: Sweep) -> None:
    """Refuse another sweep in the same folder."""
    if before.grid != now.grid:
        theirs, ours = map(_described, (before, now))
        raise ValueError(
            f"{before.folder} holds a sweep of {theirs}, not of {ours}: give another --out."
        )
    if sorted(before.fit) != sorted(now.fit):
        theirs, ours = (shlex.join(one.fit) for one in (before, now))
        raise ValueError(
            f"{before.folder} holds a sweep of fit {theirs}, not of fit {ours}: give the same "
            "options to go on, or another --out."
        )


def _described(one: Sweep) -> str:
    return ", ".join(f"{name} {' '.join(values)}" for name, values in one.grid.items())


def _new_folder(asked: Path | None, experiment: str) -> Path:
    """Make a folder for a new sweep.

    Raises:
        ValueError: something of another kind is there.
    """
    if asked is not None:
        if asked.exists() and not (asked.is_dir() and not any(asked.iterdir())):
            raise ValueError(f"--out {asked} is there, and holds no sweep: give a new folder.")
        asked.mkdir(parents=True, exist_ok=True)
        return asked
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    above, number = runs_folder(f"{experiment}-sweep", None), 1
    while True:
        folder = above / (time if number == 1 else f"{time}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def _help() -> str:
    parser = argparse.ArgumentParser(
        usage=f"{PROGRAM} sweep --config FILE --OPTION VALUE VALUE ... [--OPTION=VALUE ...]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    said = "of the sweep; runs/<experiment>-sweep/<time> by default"
    parser.add_argument("--out", metavar="FOLDER", help=said)
    said = "of fit; swept where there are several values"
    parser.add_argument("--OPTION", metavar="VALUE", nargs="+", help=said)
    return parser.format_help().rstrip()
