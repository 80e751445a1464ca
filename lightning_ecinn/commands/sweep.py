"""The subcommand `sweep`: a `fit` for each value of some options, one after the other."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from zipfile import is_zipfile

from filelock import FileLock, Timeout

from lightning_ecinn.interruption import WATCH, Interrupted
from lightning_ecinn.plain_text import plain
from lightning_ecinn.whole_files import write_whole

__all__ = ["SWEEP", "Run", "Sweep", "read_sweep", "run_sweep", "run_words", "sweep_checkpoints"]

SWEEP = "sweep.json"
"""What makes a folder one of a sweep: its grid, and each run with what is known of it."""

_OF_A_RUN = ("LIGHTNING_ECINN_RUN_FOLDER", "LIGHTNING_ECINN_CHECKPOINT", "PL_GLOBAL_SEED")
"""Environment variables that would make a run part of another."""

_LONGEST = 120
"""Letters of the name of a run's folder."""


@dataclass
class Run:
    """One of a sweep.

    Attributes:
        name: of its folder, below the sweep's.
        values: of the swept options, as they were typed.
        status: "waiting", "finished", "stopped" or "failed".
        exit_status: of its process; negative where a signal ended it.
        seconds: that its processes took, all together.
        checkpoint: its best one, relative to the sweep's folder.
        metrics: the newest value of each.
    """

    name: str
    values: dict[str, str]
    status: str = "waiting"
    exit_status: int | None = None
    seconds: float = 0.0
    checkpoint: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)


@dataclass
class Sweep:
    """What is swept, and how far it came.

    Attributes:
        folder: where its runs lie.
        fit: words for every `fit`.
        grid: the values of each swept option, as they were typed.
        runs: one for each combination.
    """

    folder: Path
    fit: list[str]
    grid: dict[str, list[str]]
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runs = self.runs or _runs(self.grid)

    def save(self) -> None:
        """Write sweep.json.

        Raises:
            WriteError: it can't be written.
        """
        content = {"fit": self.fit, "grid": self.grid, "runs": [asdict(run) for run in self.runs]}
        with write_whole(self.folder / SWEEP) as file:
            file.write((json.dumps(content, indent=1) + "\n").encode())


def read_sweep(folder: Path) -> Sweep:
    """What a sweep left in its folder.

    Raises:
        ValueError: it is no folder of a sweep.
    """
    try:
        content = json.loads((folder / SWEEP).read_text())
        runs = [Run(**run) for run in content["runs"]]
        if [run.name for run in runs] != [run.name for run in _runs(content["grid"])]:
            raise ValueError("its runs are not those of its grid")
        return Sweep(folder, list(content["fit"]), dict(content["grid"]), runs)
    except (OSError, AttributeError, TypeError, KeyError, ValueError):
        raise ValueError(
            f"{plain(str(folder))} is no folder of a sweep: it has no {SWEEP} that can be read; "
            "give one that `sweep` wrote into."
        ) from None


def sweep_checkpoints(folder: str) -> list[str]:
    """The best checkpoint of each run of a sweep that has finished, in the order of the runs.

    Raises:
        ValueError: it is no folder of a sweep, or no run has finished.
    """
    sweep = read_sweep(Path(folder).expanduser().absolute())
    done = [run.checkpoint for run in sweep.runs if run.status == "finished" and run.checkpoint]
    if not done:
        raise ValueError(
            f"{plain(folder)}: no run of this sweep has finished: go on with it first."
        )
    return [str(sweep.folder / one) for one in done]


def run_words(sweep: Sweep, run: Run) -> list[str]:
    """The words of a run's `fit`, without its folder."""
    return [*sweep.fit, *(f"--{name}={value}" for name, value in run.values.items())]


def run_sweep(sweep: Sweep) -> None:
    """Run what is not finished, one process after the other, and keep sweep.json up to date.

    Raises:
        Interrupted: by a signal, when the run that it stopped has saved.
        ValueError: another process runs this sweep.
        WriteError: sweep.json can't be written.
    """
    lock = FileLock(sweep.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"{plain(str(sweep.folder))}: another process runs this sweep; wait until it has "
            "ended, or give another --out."
        ) from None
    try:
        for number, run in enumerate(sweep.runs, 1):
            if run.status != "finished":
                print(_heading(sweep, run, number), flush=True)
                _do(sweep, run)
    finally:
        lock.release()


def _heading(sweep: Sweep, run: Run, number: int) -> str:
    values = " ".join(f"{name} {value}" for name, value in run.values.items())
    return "\n" + plain(f"[{number}/{len(sweep.runs)}] {values}, in {sweep.folder / run.name}")


def _do(sweep: Sweep, run: Run) -> None:
    """One run, or the rest of it."""
    start, status = time.monotonic(), None
    try:
        status = _wait(_command(sweep, run))
    finally:
        run.exit_status = status
        run.seconds = round(run.seconds + time.monotonic() - start, 1)
        was_stopped = WATCH.received is not None or status in (129, 130, 143)
        run.status = "finished" if status == 0 else "stopped" if was_stopped else "failed"
        run.metrics = _metrics(sweep.folder / run.name)
        best = _newest(sweep.folder / run.name, "best*.ckpt")
        run.checkpoint = str(best.relative_to(sweep.folder)) if best else None
        sweep.save()
    if run.status == "failed":
        print(f"{plain(run.name)} failed with exit status {status}.", file=sys.stderr, flush=True)
    WATCH.check()


def _command(sweep: Sweep, run: Run) -> list[str]:
    """What is run: `fit` from its beginning, or from the run's last checkpoint."""
    folder = sweep.folder / run.name
    words = [*run_words(sweep, run), f"--trainer.default_root_dir={folder}"]
    if last := _newest(folder, "last*.ckpt"):
        words.append(f"--ckpt_path={last}")
    return [sys.executable, "-m", "lightning_ecinn", "fit", *words]


def _wait(command: Sequence[str]) -> int:
    """The exit status of a process of its own, which hears of signals, too."""
    environment = {name: v for name, v in os.environ.items() if name not in _OF_A_RUN}
    WATCH.postpone()
    with subprocess.Popen(command, env=environment) as process:
        told = None
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(timeout=0.2)
                if WATCH.received is not None and told is None:
                    told = WATCH.received  # a terminal's Ctrl-C has reached it already: once only
                    process.send_signal(told)
        except Interrupted:  # by somebody who won't wait
            process.terminate()
            raise
        finally:
            WATCH.end_postponing()


def _newest(folder: Path, pattern: str) -> Path | None:
    """The newest whole checkpoint of a run and of those that went on from it."""
    found = [path for path in folder.glob(f"**/checkpoints/{pattern}") if is_zipfile(path)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _metrics(folder: Path) -> dict[str, float | None]:
    """The newest value of each metric, of the run and of those that went on from it."""
    found: dict[str, float | None] = {}
    files = sorted(folder.glob("**/metrics.json"), key=lambda path: path.stat().st_mtime)
    for path in files:
        with suppress(OSError, ValueError, AttributeError, TypeError):
            found |= json.loads(path.read_text())["latest"]
    return {name: v for name, v in found.items() if v is None or math.isfinite(v)}


def _runs(grid: Mapping[str, Sequence[str]]) -> list[Run]:
    """One for each combination, in the order typed; each with a folder of its own."""
    runs: list[Run] = []
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        parts = [f"{name.rpartition('.')[2]}={value}" for name, value in chosen.items()]
        name = re.sub(r"[^\w=.,+-]", "-", ",".join(parts))[:_LONGEST].strip(". ")
        if name in (run.name for run in runs):  # they differ in what can't be in a folder's name
            name = f"{name},{len(runs) + 1}"
        runs.append(Run(name, chosen))
    return runs
