"""What a process holds: memory, files, threads, tensors; and whether that grows."""

from __future__ import annotations

import csv
import gc
import math
import os
import resource
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

__all__ = ["CONSTANT", "Held", "Slope", "held", "plot", "slope", "write_csv"]

CONSTANT = ("files", "threads", "children", "left_behind")
"""What must be the same after every round."""

_TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class Held:
    """After one round.

    Attributes:
        hours: since the first.
        rss: resident memory, MB.
        files: open descriptors.
        threads: of the process, Python's and others.
        children: processes that were started and live.
        tensors: live ones.
        objects: that the garbage collector knows, in thousands.
        left_behind: kB in the folder for temporary files.
    """

    hours: float
    rss: float
    files: int
    threads: int
    children: int
    tensors: int
    objects: float
    left_behind: float


def held(hours: float, temporary: Path) -> Held:
    """What this process holds now, what nobody refers to collected before.

    Args:
        hours: since the first round.
        temporary: the folder for temporary files.
    """
    gc.collect()
    objects = gc.get_objects()
    files = [path for path in temporary.rglob("*") if path.is_file()]
    return Held(
        hours=hours,
        rss=_resident(),
        files=len(os.listdir("/dev/fd")),
        threads=len(list(_TASKS.iterdir())) if _TASKS.exists() else threading.active_count(),
        children=_children(),
        # By type: asking some objects of torch what they are is an answer with a warning.
        tensors=sum(issubclass(type(one), torch.Tensor) for one in objects),
        objects=len(objects) / 1e3,
        left_behind=sum(path.stat().st_size for path in files) / 1e3,
    )


def _resident() -> float:
    """MB."""
    statm = Path("/proc/self/statm")
    if not statm.exists():  # the most there was, then: it shows growth, too
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6


def _children() -> int:
    lists = _TASKS.glob("*/children")
    return sum(len(one.read_text().split()) for one in lists)


@dataclass(frozen=True)
class Slope:
    """MB per hour.

    Attributes:
        value: by least squares.
        low: of the 95 % interval.
        high: of the same.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "too few rounds to tell"
        return f"{self.value:+.1f} MB per hour (95 % from {self.low:+.1f} to {self.high:+.1f})"


def slope(hours: Sequence[float], values: Sequence[float], draws: int = 2000) -> Slope:
    """The trend of values, with an interval that knows that neighbours resemble each other.

    What is left of the line is drawn anew in blocks of neighbours, the square root of all long
    (moving-block bootstrap, Künsch 1989): an interval from single values would be far too narrow
    for memory, which keeps what it has from one round to the next.
    """
    x, y = np.asarray(hours, float), np.asarray(values, float)
    if len(x) < 3:
        return Slope(math.nan, math.nan, math.nan)
    fitted = np.polyfit(x, y, 1)
    rest = y - np.polyval(fitted, x)
    length = max(2, round(math.sqrt(len(x))))
    rng = np.random.default_rng(0)
    count = -(-len(x) // length)
    starts = rng.integers(0, len(x) - length + 1, (draws, count))
    drawn = rest[starts[..., None] + np.arange(length)].reshape(draws, -1)[:, : len(x)]
    centred = x - x.mean()
    slopes = fitted[0] + drawn @ centred / (centred @ centred)
    low, high = np.quantile(slopes, [0.025, 0.975])
    return Slope(float(fitted[0]), float(low), float(high))


def write_csv(rounds: Iterable[Held], path: Path) -> None:
    """One line for each round."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Held)])
        writer.writeheader()
        writer.writerows(asdict(one) for one in rounds)


def plot(rounds: Sequence[Held], title: str, path: Path) -> None:
    """Memory, and what is counted, over time."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    minutes = [60 * one.hours for one in rounds]
    above.plot(minutes, [one.rss for one in rounds], color="#0072b2")
    above.set_ylabel("resident memory, MB")
    for name, colour in zip(
        ("files", "threads", "children", "tensors", "objects"),
        ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555"),
        strict=True,
    ):
        label = f"{name}, thousands" if name == "objects" else name
        below.plot(minutes, [getattr(one, name) for one in rounds], color=colour, label=label)
    below.set_yscale("symlog")
    below.set_ylabel("count")
    below.set_xlabel("minutes")
    below.legend(frameon=False, fontsize=8, ncols=5)
    for panel in (above, below):
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    above.set_title(title, fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)
