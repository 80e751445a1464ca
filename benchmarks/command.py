"""The command line of a single benchmark: ``python -m benchmarks.NAME [--quick]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.measure import Table, new_folder, write
from lightning_ecinn.allocator import keep_freed_memory

__all__ = ["command"]


def command(
    name: str,
    run: Callable[..., Sequence[Table]],
    child: Callable[..., Any] | None = None,
    options: Sequence[str] = (),
) -> None:
    """Measure, print and leave the tables; or do what a parent process asks for in JSON.

    Args:
        name: of the benchmark.
        run: measures; takes `quick` and each of the options.
        child: what :func:`benchmarks.measure.in_child` calls.
        options: more switches.
    """
    if child is not None and sys.argv[1:] and sys.argv[1].startswith("{"):
        print(json.dumps(child(**json.loads(sys.argv[1]))))
        return
    parser = argparse.ArgumentParser(
        f"python -m benchmarks.{name}", description=(run.__doc__ or "").partition("\n")[0]
    )
    for option in ("quick", *options):
        parser.add_argument(f"--{option}", action="store_true")
    chosen = vars(parser.parse_args())
    keep_freed_memory()
    write(name, run(**chosen), new_folder())
