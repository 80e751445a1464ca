"""Options that the parser takes and nobody can mean."""

from __future__ import annotations

import os
import pydoc
from pathlib import PurePosixPath, PureWindowsPath

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from lightning_ecinn.cli.errors import one_line
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.checks import check_positive
from lightning_ecinn.training.found import FOUND
from lightning_ecinn.training.shared import DESCRIPTION

__all__ = ["check_name", "check_options"]

LONGEST = 200
"""Bytes of a file's name; most file systems have room for 255."""

_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}


def check_options(options: Namespace) -> None:
    """Refuse names that lead elsewhere, and settings that are null and must not be.

    Args:
        options: of a subcommand, parsed.

    Raises:
        ValueError: names the option, what it is and what it may be.
    """
    check_name("experiment", options.get("experiment"))
    check_name("wandb_project", options.get("wandb_project"))
    if options.get("minutes") is not None:
        check_positive(minutes=options.minutes)
    for key in ("data", "model"):
        if options.get(key) is not None:
            _check_nulls(key, options[key])


def check_name(option: str, name: str | None) -> None:
    """Refuse a name under which a folder would lie elsewhere than below runs/, or not at all.

    Args:
        option: what it is the value of.
        name: such as "mnist", or "faces/smiling", which is a folder in a folder.

    Raises:
        ValueError: it is none.
    """
    reason = "empty" if not name or not name.strip() else _what_is_wrong(name)
    if reason:
        raise ValueError(
            f"--{option} {name or ''!r} is {reason}; give a name such as mnist, or faces/smiling."
        )


def _what_is_wrong(name: str) -> str:
    """Why this is not the name of a folder, everywhere; nothing if it is one."""
    if not name.isprintable():
        return "a text with control characters"
    if len(os.fsencode(name)) > LONGEST:
        return f"longer than {LONGEST} bytes"
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or name[0] == "~":
        return "the path of a folder (--trainer.default_root_dir takes one)"
    parts = name.replace("\\", "/").split("/")
    if {".", ".."} & {*parts}:
        return "a path that leads elsewhere"
    if _RESERVED & {part.partition(".")[0].rstrip().lower() for part in parts}:
        return "a name that Windows keeps for itself"
    return ""


def _check_nulls(key: str, part: Namespace) -> None:
    """Refuse null for a setting whose type does not have it: the parser looks only without it."""
    nulls = {name for name, value in part.get("init_args", {}).items() if value is None}
    nulls -= {*DESCRIPTION}  # the data say these later
    if not nulls:
        return
    kind = pydoc.locate(part.class_path)
    if issubclass(kind, IBINN):  # type: ignore[arg-type]
        nulls -= {*FOUND}
    parser = ArgumentParser(exit_on_error=False)
    known = parser.add_class_arguments(kind, fail_untyped=False)
    for name in sorted(nulls & {*known}):
        try:
            parser.validate(Namespace({name: None}), skip_required=True, skip_unset=False)
        except (ArgumentError, TypeError, ValueError) as error:
            raise ValueError(f"{key}.{one_line(str(error))}") from None
