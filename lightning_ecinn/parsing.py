"""What the command line's parser does differently: experiments by name, errors on one line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ActionConfigFile, Namespace

import experiments

__all__ = ["ExperimentFile", "OneLineErrors", "is_debugging", "one_line"]

_NOISE = (
    "Does not validate against any of the Union subtypes",
    "Subtypes:",
    "Errors:",
    "Expected a <class 'NoneType'>",
    "Given value type:",
)
_REWRITTEN = [
    (r'Parser key "([^"]+)":', r"\1:"),
    (r"Problem with given class_path '(?:\w+\.)*(\w+)':", r"\1:"),
    (r"<class '(?:\w+\.)*(\w+)'>", r"\1"),
    (r"Expected a typing\.Literal(\[[^]]*\])", r"Expected one of \1"),
    (r"Given value: (?:NestedArg|Namespace|[{\[]).*", ""),
    (r"\n?Given value: ", ". Got value: "),
    (
        r"(?:Expected a path but .*\s+)?Expected a dot import path string: (\w+)\.?",
        r"there is no class \1; give the name of a class of this project, or the full path of "
        r"your own, as in package.module.Class",
    ),
]


def is_debugging() -> bool:
    """Whether the user wants tracebacks."""
    return bool(os.environ.get("LIGHTNING_ECINN_DEBUG"))


def one_line(message: str) -> str:
    """An error of jsonargparse or anyone else on one line, without its inner workings."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    text = "\n".join(line for line in lines if not line.startswith(_NOISE))
    for pattern, replacement in _REWRITTEN:
        text = re.sub(pattern, replacement, text)
    return " ".join(text.split())


class OneLineErrors:
    """Mixed into a parser: a mistake is answered by one line, not by pages of usage."""

    exit_on_error: bool

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message and exit with status 2; parsers within parsers raise instead."""
        if not self.exit_on_error or is_debugging():
            raise ValueError(message) from ex
        print(f"error: {one_line(message)}", file=sys.stderr)
        raise SystemExit(2)


class ExperimentFile(ActionConfigFile):
    """``--config NAME``: a file in the current folder, else one of the shipped experiments."""

    def __call__(  # type: ignore[override]
        self, parser: Any, config: Namespace, value: Any, option_string: str | None = None
    ) -> None:
        """Resolve the name, then read the file."""
        super().__call__(parser, config, _experiment_path(value), option_string)


def _experiment_path(value: Any) -> Any:
    if not isinstance(value, str) or "\n" in value:  # already read, or YAML itself
        return value
    if path := experiments.find(value):
        return str(path)
    names = ", ".join(sorted(file.name for file in experiments.FOLDER.glob("*.yaml")))
    raise TypeError(
        f"--config {value}: there is no such file in {Path.cwd()}, and no experiment of that name "
        f"is shipped; there are {names}"
    )
