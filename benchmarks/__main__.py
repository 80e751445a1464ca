"""``python -m benchmarks [NAME ...]``: measure, print, and leave tables in a folder."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.measure import new_folder, write
from lightning_ecinn.allocator import keep_freed_memory

NAMES = ("ceilings", "explaining", "training", "memory", "scale", "loading", "peers")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks named, or all."""
    options = _parser().parse_args(arguments)
    out = options.out or new_folder()
    keep_freed_memory()
    for name in options.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        tables = import_module(f"benchmarks.{name}").run(quick=options.quick)
        write(name, tables, out)
        print(f"{name}: {time.perf_counter() - start:.0f} s, in {out}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES), type=_name)
    parser.add_argument("--quick", action="store_true", help="tiny settings, seconds")
    parser.add_argument("--out", type=Path, help="folder of the tables (runs/benchmarks/<time>)")
    return parser


def _name(name: str) -> str:
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"no benchmark '{name}': choose from {', '.join(NAMES)}")
    return name


if __name__ == "__main__":
    main()
