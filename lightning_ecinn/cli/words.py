"""The words of a command as the parser wants them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorch_lightning.cli import ArgsType

__all__ = [
    "PROGRAM",
    "SEVERAL",
    "find_values",
    "go_on_command",
    "long_word",
    "normalise",
    "typed",
    "without_values",
]

PROGRAM = "python -m lightning_ecinn"

SEVERAL = ("compare", "figures")
"""Subcommands of several checkpoints."""

_CLASSES = "--classifier_classes"
_LISTS = {
    "compare": ("--ckpt_path", "--names", "--methods", _CLASSES),
    "evaluate": ("--alphas", _CLASSES),
    "figures": ("--ckpt_path", "--figure"),
    "means": (_CLASSES,),
    "predict": (_CLASSES,),
}
"""Options of a subcommand that take several values."""

_UNDERSTOOD = {
    "-c": "--config",
    "--conf": "--config",
    "--ckpt": "--ckpt_path",
    "--steps": "--alphas",
    "--step": "--convincing_step",
    "--model.step": "--model.convincing_step",
    "--model.init_args.step": "--model.init_args.convincing_step",
}
"""Short and earlier names of options."""

_FIRST = {"--config": 0, "--data": 1, "--model": 1}
"""What the parser must read first: files, then classes, then their settings."""


def normalise(args: ArgsType) -> ArgsType:
    """The words in the parser's spelling, and in an order in which every option counts.

    ``import-ibinn model.pt --no-means`` and lists such as ``--names A B`` are understood; what
    comes before ``--config`` changes the file just as what comes after it does.

    Raises:
        ValueError: an option stands before the subcommand.
    """
    words = typed(args)
    if not words:
        return args
    if words[0].startswith("-") and words[1:]:
        raise ValueError(
            f"{words[0]} comes before the subcommand: give that first, as in fit --config "
            "mnist.yaml"
        )
    command, rest = words[0].replace("-", "_"), [long_word(word) for word in words[1:]]
    if command in _LISTS:
        rest = _with_lists(rest, _LISTS[command])
    if command == "import_ibinn":
        rest = ["--means=false" if word == "--no-means" else word for word in rest]
        if rest and not rest[0].startswith("-"):
            rest[0] = f"--path={rest[0]}"
        return [command, *_in_order(rest)]
    return [words[0], *_in_order(rest)]


def typed(args: ArgsType) -> list[str]:
    """The words of a command, as the user typed them; none where it was given in another form."""
    words = sys.argv[1:] if args is None else args
    return words if isinstance(words, list) else []


def go_on_command(words: Sequence[str], checkpoint: str) -> str:
    """The same command once more, from a checkpoint."""
    same = shlex.join(without_values(words, "--ckpt_path", "--ckpt"))
    return f"{PROGRAM} {same} --ckpt_path {shlex.quote(checkpoint)}"


def find_values(words: Sequence[str], *options: str) -> list[str]:
    """What each ``--option VALUE`` or ``--option=VALUE`` among the words says."""
    found = []
    for i, word in enumerate(words):
        name, is_joined, value = word.partition("=")
        if name in options:
            found.append(value if is_joined else "".join(words[i + 1 : i + 2]))
    return found


def without_values(words: Sequence[str], *options: str) -> list[str]:
    """The words without ``--option VALUE`` and ``--option=VALUE``."""
    kept, is_value = [], False
    for word in words:
        name, is_joined, _ = word.partition("=")
        if not is_value and name not in options:
            kept.append(word)
        is_value = not is_value and name in options and not is_joined
    return kept


def _in_order(words: Sequence[str]) -> list[str]:
    """Files, then classes, then the rest, each in the order given: the parser forgets otherwise."""
    parts: tuple[list[str], ...] = ([], [], [])
    remaining = iter(words)
    for word in remaining:
        name, is_joined, _ = word.partition("=")
        part = parts[_FIRST.get(name, 2)]
        part.append(word)
        if name in _FIRST and not is_joined:
            part.extend(islice(remaining, 1))
    return [word for part in parts for word in part]


def long_word(word: str) -> str:
    """An option by its own name: ``-cmnist.yaml`` is ``--config=mnist.yaml``."""
    if word.startswith("-c") and word[2:3] not in ("", "="):  # -cmnist.yaml
        return f"--config={word[2:]}"
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
