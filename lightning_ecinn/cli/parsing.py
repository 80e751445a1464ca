"""What the command line's parser does differently: experiments by name, errors on one line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ActionConfigFile, Namespace

from lightning_ecinn import shipped
from lightning_ecinn.cli.earlier import translate

__all__ = ["ExperimentFile", "OneLineErrors", "is_debugging", "one_line"]

_NOISE = (
    "Does not validate against any of the Union subtypes",
    "Subtypes:",
    "Errors:",
    "Expected a <class 'NoneType'>",
    "Given value type:",
)
_REWRITTEN = [
    (
        r"the following arguments are required: ((?:\w+\.(?:data|model)(?:, )?)+)$",
        r"required: \1; give a complete experiment, as in --config mnist.yaml; a file that only "
        r"changes one comes after it, as in --config mnist.yaml --config conv_net.yaml",
    ),
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
        """Resolve the name, then read the file; names of earlier versions are understood."""
        path = _experiment_path(value)
        content = _content(path)
        _check_base(config, path, content)
        if (present := translate(content)) != content:
            path = yaml.safe_dump(present, sort_keys=False)
        super().__call__(parser, config, path, option_string)


def _experiment_path(value: Any) -> Any:
    if not isinstance(value, str) or "\n" in value:  # already read, or YAML itself
        return value
    if path := shipped.find(value):
        return str(path)
    names = ", ".join(sorted(file.name for file in shipped.FOLDER.glob("*.yaml")))
    raise TypeError(
        f"--config {value}: there is no such file in {Path.cwd()}, and no experiment of that name "
        f"is shipped; there are {names}"
    )


def _content(path: Any) -> Any:
    """What is in a file, or in YAML itself; None where the parser will say what is wrong."""
    try:
        text = path if isinstance(path, str) and "\n" in path else Path(path).read_text()
        return yaml.safe_load(text)
    except (OSError, TypeError, ValueError, yaml.YAMLError):
        return None


def _check_base(config: Namespace, path: Any, content: Any) -> None:
    """Refuse a file that changes settings of data or a model that no file before it names."""
    for key in ("data", "model"):
        part = content.get(key) if isinstance(content, dict) else None
        if isinstance(part, dict) and "class_path" not in part and config.get(key) is None:
            raise TypeError(
                f"--config {Path(path).name} changes {key}, but nothing before it says which: put "
                f"the complete experiment that it changes before it, as in {_usage(path)}"
            )


def _usage(path: Any) -> str:
    """The command in a file's heading, else any."""
    line = re.search(r"^# .*(--config \S+ --config \S+)", Path(path).read_text(), re.MULTILINE)
    return line[1] if line else f"--config mnist.yaml --config {Path(path).name}"
