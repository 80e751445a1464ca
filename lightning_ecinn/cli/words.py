"""The words of a command as the parser wants them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from pytorch_lightning.cli import ArgsType

__all__ = ["find_values", "normalise"]

_LISTS = {"compare": ("--ckpt_path", "--names", "--methods"), "evaluate": ("--alphas",)}
"""Options of a subcommand that take several values."""

_UNDERSTOOD = {
    "--ckpt": "--ckpt_path",
    "--steps": "--alphas",
    "--step": "--convincing_step",
    "--model.step": "--model.convincing_step",
    "--model.init_args.step": "--model.init_args.convincing_step",
}
"""Short and earlier names of options."""


def normalise(args: ArgsType) -> ArgsType:
    """``import-ibinn model.pt --no-means`` and lists such as ``--names A B`` as the parser does."""
    words = sys.argv[1:] if args is None else args
    if not isinstance(words, list) or not words:
        return args
    command, rest = words[0].replace("-", "_"), [_long(word) for word in words[1:]]
    if command in _LISTS:
        rest = _with_lists(rest, _LISTS[command])
    if command == "import_ibinn":
        rest = ["--means=false" if word == "--no-means" else word for word in rest]
        if rest and not rest[0].startswith("-"):
            rest[0] = f"--path={rest[0]}"
        return [command, *rest]
    return [words[0], *rest]


def find_values(words: Sequence[str], *options: str) -> list[str]:
    """What each ``--option VALUE`` or ``--option=VALUE`` among the words says."""
    found = []
    for i, word in enumerate(words):
        name, is_joined, value = word.partition("=")
        if name in options:
            found.append(value if is_joined else "".join(words[i + 1 : i + 2]))
    return found


def _long(word: str) -> str:
    name, is_joined, value = word.partition("=")
    return f"{_UNDERSTOOD.get(name, name)}{is_joined}{value}"


def _with_lists(words: list[str], options: Sequence[str]) -> list[str]:
    """``--names A B --names=C`` as ``--names=["A", "B", "C"]``; a list stays one."""
    others: list[str] = []
    lists: dict[str, list[str]] = {}
    option = ""
    for word in words:
        name, is_joined, value = word.partition("=")
        if name in options:
            option, word = name, value
            if not is_joined:
                continue
        elif word.startswith("-"):
            option = ""
        if not option:
            others.append(word)
        elif word.startswith("["):
            others.append(f"{option}={word}")
        else:
            lists.setdefault(option, []).append(word)
    return [*others, *(f"{name}={json.dumps(values)}" for name, values in lists.items())]
