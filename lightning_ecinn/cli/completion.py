"""``--print_shtab SHELL``: a script with which a shell completes commands, options and choices."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from lightning_ecinn.cli.help import choices_of, classes_of, settings_of
from lightning_ecinn.cli.known import known
from lightning_ecinn.usage import COMMANDS

__all__ = ["completion_script", "print_completion"]

_SHELLS = ("bash", "zsh", "tcsh")
_FLAG = "--print_shtab"


def print_completion(words: Sequence[str]) -> bool:
    """Print the script where these words ask for it, and say whether they do.

    Raises:
        ValueError: they name no shell, or shtab is not installed.
    """
    flag, _, value = words[0].partition("=") if words else ("", "", "")
    if flag != _FLAG:
        return False
    shell = value or (words[1] if len(words) > 1 else "")
    if shell not in _SHELLS:
        raise ValueError(f"{_FLAG} {shell}: give a shell, one of {', '.join(_SHELLS)}.")
    print(completion_script(shell))
    return True


def completion_script(shell: str) -> str:
    """What completes ``lightning-ecinn`` in a shell: "bash", "zsh" or "tcsh".

    Raises:
        ValueError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise ValueError(
            f"{_FLAG} needs shtab: pip install 'lightning_ecinn[completion]'."
        ) from None
    schema = known()
    if schema is None:  # other versions of libraries have other settings
        from lightning_ecinn.cli.schema import make_schema

        schema = make_schema()
    return shtab.complete(_parser(schema), shell)


def _parser(schema: Mapping[str, Any]) -> argparse.ArgumentParser:
    """Commands and options, without what they do."""
    parser = argparse.ArgumentParser(prog="lightning-ecinn")
    commands = parser.add_subparsers()
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        known_as = {"sweep": "fit"}.get(name, name)  # it takes all options of `fit`
        if name == "sweep":
            command.add_argument("--out", help="folder of the sweep")
        if known_as not in schema["x-commands"]:
            continue
        settings = {**settings_of(schema, known_as), **_of_classes(schema, known_as)}
        for option, own in settings.items():
            text = own.get("description", "").split(". ")[0].replace("%", "%%").replace("\n", " ")
            command.add_argument(f"--{option}", choices=choices_of(own) or None, help=text)
    return parser


def _of_classes(schema: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The settings of every model and data set, where a subcommand takes such."""
    return {
        f"{kind}.{setting}": own
        for kind in ("model", "data")
        if kind in schema["x-commands"][command]
        for name in classes_of(schema, kind)
        for setting, own in schema["definitions"][name]["properties"].items()
    }
