"""Timing, peak memory, and tables in Markdown and JSON."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch

__all__ = [
    "Table",
    "in_child",
    "interleaved",
    "machine",
    "new_folder",
    "peak_rss",
    "ratio",
    "write",
]


def interleaved(
    functions: Mapping[str, Callable[[], Any]], repeats: int = 15, warmup: int = 2
) -> dict[str, list[float]]:
    """Seconds of each call, the functions taking turns, so that a drift of the machine is shared.

    Args:
        functions: what to time, by name; each is called without arguments.
        repeats: calls of each that count.
        warmup: calls of each before.
    """
    for function in functions.values():
        for _ in range(warmup):
            function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], slow: str, fast: str) -> float:
    """How many times faster `fast` is: the median over the turns of the ratio within a turn."""
    pairs = zip(seconds[slow], seconds[fast], strict=True)
    return statistics.median(a / b for a, b in pairs)


@dataclass
class Table:
    """Rows under columns, with what a reader must know.

    Attributes:
        title: one line.
        columns: names, with units.
        rows: as many values each; numbers are shown with three digits.
        notes: sentences below the table.
        picture: draws one into a file.
    """

    title: str
    columns: list[str]
    rows: list[list[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    picture: Callable[[Path], None] | None = None

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [f"## {self.title}", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([_shown(value) for value in row]) for row in self.rows]
        lines += [f"\n{note}" for note in self.notes]
        return "\n".join(lines) + "\n"


def machine() -> dict[str, Any]:
    """What the figures were measured on, and when."""
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def new_folder() -> Path:
    """A folder of its own for each time something is measured, not made yet."""
    return Path("runs/benchmarks") / time.strftime("%Y-%m-%d_%H-%M-%S")


def write(name: str, tables: Sequence[Table], out: Path) -> None:
    """Print the tables and leave them in `out` as NAME.md, NAME.json and pictures NAME.png."""
    where = ", ".join(f"{key} {value}" for key, value in machine().items() if value is not None)
    allocator = "Unless a table says otherwise, the process keeps the memory it frees."
    text = f"# {name}\n\n{where}. {allocator}\n\n" + "\n".join(table.markdown() for table in tables)
    print(text, flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(text)
    for table in tables:
        if table.picture is not None:
            table.picture(out / f"{name}.png")
    rows = [{k: v for k, v in asdict(table).items() if k != "picture"} for table in tables]
    content = {"machine": machine(), "tables": rows}
    (out / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def peak_rss() -> float:
    """The most memory this process has held, in MB.

    On Linux not `ru_maxrss`, which begins with that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return kilobytes / (1000 if sys.platform != "darwin" else 1e6)
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def in_child(module: str, **arguments: Any) -> dict[str, Any]:
    """Run ``python -m MODULE '{...}'`` in a process of its own; it prints JSON as its last line.

    Peak memory never falls within a process, so each setting needs its own.

    Raises:
        RuntimeError: the process failed, with the end of what it wrote.
    """
    command = [sys.executable, "-m", module, json.dumps(arguments)]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=os.environ)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)
