"""Running the command line: what a process is, and how it ends."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

from lightning_ecinn.allocator import keep_freed_memory
from lightning_ecinn.cli.completion import print_completion
from lightning_ecinn.cli.help import command_help
from lightning_ecinn.cli.lost_process import saying_lost_processes
from lightning_ecinn.cli.mistakes import refuse_mistakes
from lightning_ecinn.cli.parsing import is_debugging, one_line
from lightning_ecinn.cli.process import (
    describe_error,
    same_environment_afterwards,
    watching_signals,
    without_noise,
)
from lightning_ecinn.cli.schema_command import print_schema
from lightning_ecinn.cli.stopped import describe_stop
from lightning_ecinn.cli.words import normalise, typed
from lightning_ecinn.interruption import WATCH, Interrupted
from lightning_ecinn.runs import (
    discard_unused_run_folder,
    forget_run_folder,
    shared_run_folder,
)

if TYPE_CHECKING:
    from pytorch_lightning.cli import ArgsType

    from lightning_ecinn.cli.command_line import ECINNCLI

__all__ = ["main"]

_USER_ERRORS = ("ValueError", "OSError", "MisconfigurationException", "NonFiniteLossError")
"""By their names: Lightning's and ours are not imported by commands that don't raise them."""

_OWN_PARSERS = ("explain", "export", "sweep", "workspace")
"""Subcommands that are functions of these names in modules of these names."""


def main(args: ArgsType = None) -> ECINNCLI | None:
    """Run the command line; a user's mistake ends it with one sentence.

    Args:
        args: like ``sys.argv[1:]``, which is the default.
    """
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names that a terminal has no letters for
            stream.reconfigure(errors="backslashreplace")
    is_child = shared_run_folder() is not None  # launched by the first process of a run
    with same_environment_afterwards(), without_noise(), watching_signals():
        if not is_child:
            forget_run_folder()
        try:
            with saying_lost_processes(args):
                return _run(args)
        except Interrupted as stop:
            if is_child:  # its launcher would take another status for a crash, and end all at once
                raise SystemExit(0) from None
            with suppress(OSError):  # the terminal may be gone
                print(describe_stop(stop, args), file=sys.stderr)
            raise SystemExit(stop.code) from None
        except Exception as error:
            if is_debugging() or not _is_users(error):
                raise
            print(f"error: {one_line(describe_error(error))}", file=sys.stderr)
            raise SystemExit(2) from None
        finally:
            if not is_child:
                discard_unused_run_folder()


def _is_users(error: Exception) -> bool:
    return bool({kind.__name__ for kind in type(error).mro()} & {*_USER_ERRORS})


def _run(args: ArgsType) -> ECINNCLI | None:
    """The command itself; whatever a signal made of it counts as an interruption."""
    if print_completion(given := typed(args)):
        return None
    if given and given[0] in _OWN_PARSERS:
        command = import_module(f"lightning_ecinn.cli.{given[0]}")
        getattr(command, given[0])(given[1:])
        return None
    if given[:1] == ["schema"]:
        print_schema(given[1:])
        return None
    words = normalise(args)
    if isinstance(words, list):
        if (said := command_help(words)) is not None:
            print(said)
            raise SystemExit(0)
        refuse_mistakes(words)
    from lightning_ecinn.cli.command_line import ECINNCLI
    from lightning_ecinn.cli.configuration import add_configuration

    try:
        cli = ECINNCLI(add_configuration(words))
    except Exception as error:
        WATCH.check()  # other processes have gone, for instance
        if "loading state_dict" in str(error):  # Lightning's, of weights that are no part of ours
            raise ValueError(f"--ckpt_path: {' '.join(str(error).split())}") from None
        raise
    WATCH.check()
    cli.say_farewell()
    return cli
