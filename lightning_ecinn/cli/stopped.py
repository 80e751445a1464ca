"""What is said when a signal has ended a command: where its work lies, and how to go on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_ecinn.cli.words import PROGRAM, go_on_command, typed
from lightning_ecinn.interruption import AFTER_MEANS, Interrupted
from lightning_ecinn.runs import CONFIG, shared_run_folder

if TYPE_CHECKING:
    from pytorch_lightning.cli import ArgsType

__all__ = ["describe_stop"]


def describe_stop(stop: Interrupted, args: ArgsType) -> str:
    """Lines for the user.

    Args:
        stop: what ended the command.
        args: its words.
    """
    words = typed(args)
    if words[:1] != ["fit"]:
        return f"Stopped by {stop.name}: the command is not finished{_so_far()}{_again(words)}"
    path = shlex.quote(_short(stop.checkpoint or ""))
    if stop.unfinished == "test":
        said = f"Stopped by {stop.name}: the training is finished, its test is not"
        return f"{said}\n  test: {PROGRAM} test --ckpt_path {path}" if stop.checkpoint else said
    is_not = "are not" if stop.unfinished == "class means" else "is not"
    said = f"Stopped by {stop.name}: the {stop.unfinished} {is_not} finished"
    if stop.unfinished == AFTER_MEANS:
        said = f"Stopped by {stop.name}: {AFTER_MEANS} is not finished"
    if stop.checkpoint is None:
        return f"{said}, and no checkpoint was saved."
    lines = [
        f"{said}; as far as it came, it lies in {_short(stop.checkpoint)}",
        f"  go on:                    {go_on_command(words, _short(stop.checkpoint))}",
    ]
    if stop.unfinished != AFTER_MEANS:
        lines.append(f"  or build its class means: {PROGRAM} means --ckpt_path {path}")
    return "\n".join(lines)


def _so_far() -> str:
    """Where the results are that another command than `fit` has written, if there are any."""
    folder = shared_run_folder()
    files = [path for path in Path(folder).rglob("*") if path.is_file()] if folder else []
    if all(path.name == CONFIG for path in files):
        return "."
    return f"; as far as it came, its results lie in {_short(str(folder))}"


def _again(words: list[str]) -> str:
    return f"\n  again: {PROGRAM} {shlex.join(words)}" if words else ""


def _short(path: str) -> str:
    """Relative to the current folder where it lies below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here) if here in Path(path).parents else path)
