"""When another process of a run has failed: the reason and the way on, in place of tracebacks."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import PicklingError
from typing import TYPE_CHECKING

from lightning_ecinn.cli.parsing import is_debugging, one_line
from lightning_ecinn.cli.process import end_wandb
from lightning_ecinn.cli.words import go_on_command, typed
from lightning_ecinn.runs import shared_run_folder

if TYPE_CHECKING:
    from pytorch_lightning.cli import ArgsType

__all__ = ["describe_loss", "is_lost_process", "saying_lost_processes"]

_OBSERVER = "lightning_fabric.strategies.launchers.subprocess_script"
"""Logs that a child has ended, just before it kills all of them and this process."""
_MISTAKES = ("ValueError", "OSError", "FileNotFoundError", "PermissionError", "WriteError")
_GONE = ("connection closed by peer", "connection reset by peer", "broken pipe")
_SIGNS = ("gloo", "nccl", *_GONE)


def is_lost_process(error: BaseException) -> bool:
    """Whether an error says that another process can't be reached any more."""
    if {"DistError", "ProcessExitedException"} & {kind.__name__ for kind in type(error).mro()}:
        return True  # torch's, by their names: what has not imported torch has lost no process
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _SIGNS)


def describe_loss(args: ArgsType, folder: str | None, error: str = "") -> str:
    """Lines for the user.

    Args:
        args: the words of the command.
        folder: the run's, where there is one.
        error: how it was noticed; what it says is shown unless it says only that.
    """
    words = typed(args)
    reason = (
        "error: another process of this run has gone (it was killed, ran out of memory, or said "
        "above why it ended), so the others stopped too."
    )
    if error and not any(sign in error.lower() for sign in _GONE):
        reason += f" Noticed by: {error.splitlines()[0][:200]}."
    if words[:1] != ["fit"]:
        return f"{reason} Run the command again."
    if folder is None or not any(Path(folder).glob("**/*.ckpt")):
        return f"{reason} No checkpoint was saved in its folder: run the command again."
    return f"{reason}\n  go on: {go_on_command(words, 'last')}"


@contextmanager
def saying_lost_processes(args: ArgsType) -> Iterator[None]:
    """End with status 1 when another process has gone; one of those left says so.

    What a forked or spawned process says of a user's mistake is said once more, with status 2.

    Args:
        args: the words of the command.
    """
    saying = _Saying(args)
    observer = logging.getLogger(_OBSERVER)
    observer.addFilter(saying.instead)
    try:
        yield
    except Exception as error:
        if is_debugging():
            raise
        if is_lost_process(error):
            saying.say(str(error))
            raise SystemExit(1) from None
        if mistake := _mistake(error):
            print(f"error: {mistake}", file=sys.stderr)
            raise SystemExit(2) from None
        raise
    finally:
        observer.removeFilter(saying.instead)


def _mistake(error: Exception) -> str:
    """What strategies that fork or spawn say of a user's mistake; "" of anything else."""
    if isinstance(error, PicklingError):
        return (
            "--trainer.strategy: a spawned process can't be given the network, data or callbacks "
            f"of this run ({one_line(str(error))}): give ddp."
        )
    if type(error).__name__ != "ProcessRaisedException":  # torch's
        return ""
    kind, _, text = re.split(r"^(?=\S)", str(error).strip(), flags=re.MULTILINE)[-1].partition(": ")
    return one_line(text) if kind.rpartition(".")[2] in _MISTAKES else ""


class _Saying:
    """Says it once, from the first process, or from the second where the first one has gone."""

    def __init__(self, args: ArgsType):
        self.args = args
        self.parent = os.getppid()
        self.is_said = False

    def say(self, error: str) -> None:
        """After all that loggers have to say."""
        rank = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", 0)))
        first_has_gone = os.getppid() != self.parent
        if rank > first_has_gone:
            return
        end_wandb(1)
        self._print(error)

    def instead(self, record: logging.LogRecord) -> bool:
        """In place of Lightning's words for it; everything is killed at once after them."""
        if is_debugging() or "Child process with PID" not in record.getMessage():
            return True
        self._print()
        return False

    def _print(self, error: str = "") -> None:
        if self.is_said:
            return
        self.is_said = True
        print(describe_loss(self.args, shared_run_folder(), error), file=sys.stderr, flush=True)
