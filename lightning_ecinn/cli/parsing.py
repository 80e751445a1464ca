"""Mistakes on one line, whichever parser finds them."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn

from lightning_ecinn.cli.errors import one_line
from lightning_ecinn.cli.words import PROGRAM

__all__ = ["OneLineErrors", "is_debugging", "one_line", "own_parser"]


def is_debugging() -> bool:
    """Whether the user wants tracebacks."""
    return bool(os.environ.get("LIGHTNING_ECINN_DEBUG"))


class OneLineErrors:
    """Mixed into a parser: a mistake is answered by one line, not by pages of usage."""

    exit_on_error: bool

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message and exit with status 2; parsers within parsers raise instead."""
        if not self.exit_on_error or is_debugging():
            raise ValueError(message) from ex
        print(f"error: {one_line(message, _options(self))}", file=sys.stderr)
        raise SystemExit(2)


class _Parser(OneLineErrors, argparse.ArgumentParser):
    """Mistakes in one line."""


def own_parser(command: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The parser of a subcommand that needs neither data nor a trainer, without its options.

    Args:
        command: its name.
        description: what it is for.
        examples: what stands below the options.
    """
    return _Parser(
        prog=f"{PROGRAM} {command}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _options(parser: Any) -> set[str]:
    """The names of a parser's options, and of its subcommands'."""
    found = {action.dest for action in parser._actions if action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(*map(_options, action.choices.values()))
    return found
