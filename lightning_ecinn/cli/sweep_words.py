"""The words of ``sweep``: what every ``fit`` is given, and what is swept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import yaml

from lightning_ecinn.cli.errors import closest
from lightning_ecinn.cli.words import PROGRAM, long_word

__all__ = ["read_grid"]

_OWN_FOLDERS = ("trainer.default_root_dir", "checkpoint.dirpath")
"""Options that would lay all runs into one folder."""


def read_grid(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]], str | None]:
    """What every `fit` is given, what is swept, and the folder that is asked for.

    Args:
        words: of the command.

    Raises:
        ValueError: nothing is swept, or a word can't be meant.

    Example:
        >>> read_grid(["--config", "mnist.yaml", "--model.beta", "0.5", "1", "--out", "betas"])
        (['--config=mnist.yaml'], {'model.beta': ['0.5', '1']}, 'betas')
    """
    fit: list[str] = []
    grid: dict[str, list[str]] = {}
    out = None
    for name, values in _options(words):
        if name == "out":
            out = _one_folder(values)
        elif len(values) < 2:
            fit.append("=".join((f"--{name}", *values)))
        elif name in grid:
            raise ValueError(f"--{name} is given several values twice; give them all at once.")
        else:
            grid[name] = values
    fixed = [word.removeprefix("--").partition("=")[0] for word in fit]
    _check_options([*fixed, *grid])
    _check_grid(grid, fixed)
    for which in ("last", "best"):
        if f"--ckpt_path={which}" in fit:
            raise ValueError(f"--ckpt_path {which}: a sweep's runs are new ones; give a path.")
    return fit, grid, out


def _options(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each option, and all values after it; -1 is a value."""
    found: list[tuple[str, list[str]]] = []
    for word in map(long_word, words):
        if word.startswith("-") and not re.match(r"-\.?\d", word):
            name, is_joined, value = word.removeprefix("--").partition("=")
            found.append((name, [value] if is_joined else []))
        elif not found:
            raise ValueError(f"unrecognized arguments: {word}")
        else:
            found[-1][1].append(word)
    return found


def _one_folder(values: Sequence[str]) -> str:
    if len(values) != 1 or not values[0]:
        raise ValueError(f"--out has {len(values)} values; give one folder, as in --out betas")
    return values[0]


def _check_options(names: Sequence[str]) -> None:
    """Refuse what is not for `fit`, and what would mix up its runs."""
    for name in names:
        if name in _OWN_FOLDERS:
            raise ValueError(f"--{name}: a sweep gives each run a folder of its own; give --out.")
        if name == "print_config" or name.rpartition(".")[2] == "help":
            raise ValueError(f"--{name}: `sweep` only trains; ask {PROGRAM} fit --{name}")
        if closest(name, ["out"]):
            raise ValueError(f"unrecognized arguments: --{name} (did you mean --out?)")


def _check_grid(grid: Mapping[str, Sequence[str]], fixed: Sequence[str]) -> None:
    """Refuse what is no grid."""
    if not grid:
        raise ValueError(
            "sweep: no option has several values; give one some, as in --model.beta 0.1 0.5 1 "
            "(one run alone is `fit`)."
        )
    for name, values in grid.items():
        known = [_plain(value) for value in values]
        if twice := [value for value in values if known.count(_plain(value)) > 1]:
            raise ValueError(f"--{name}: {twice[-1]} is given twice; give each value once.")
        if name in fixed:
            raise ValueError(
                f"--{name} is given several values, and again one alone; give it once."
            )


def _plain(value: str) -> object:
    """What YAML understands: 1 and 1.0 are one value."""
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value
