"""Configurations as people and strangers write them: found, read in bounded time, or refused."""

from __future__ import annotations

import re
from collections.abc import Hashable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lightning_ecinn import shipped

__all__ = ["ConfigFile", "find_config", "read_config"]

LARGEST = 2**20
"""Bytes of a file; those that runs leave have thousands."""

DEEPEST = 50
"""Lists and settings within each other."""

MOST = 20_000
"""Entries, those that aliases repeat counted again."""

_Yaml: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_WHOLE = ("trainer", "checkpoint", "class_means", "counterfactuals")
"""Settings under their names, where anything else would be passed over."""


class ConfigFile(NamedTuple):
    """What ``--config`` gave.

    Attributes:
        source: the file's path, or the YAML itself where that was given.
        text: of the file.
        content: the settings.
    """

    source: str
    text: str
    content: dict[str, Any]


def find_config(value: str) -> ConfigFile:
    """The file of this name, else the shipped one; or YAML itself, which has several lines.

    Raises:
        ValueError: there is none, or it is no configuration; says which there are, or why.
    """
    if "\n" in value:
        return ConfigFile(value, value, _settings(value, "--config"))
    path = shipped.find(value)
    if path is None:
        raise ValueError(f"--config {value}: {_why_missing(value)}")
    return read_config(path, f"--config {value}")


def read_config(path: Path, name: str) -> ConfigFile:
    """The settings in a file.

    Args:
        path: the file.
        name: what it is called where something is wrong with it.

    Raises:
        ValueError: it is no configuration; says what it is, and where it goes wrong.
    """
    text = _text(path, name)
    return ConfigFile(str(path), text, _settings(text, name))


def _why_missing(value: str) -> str:
    """What is wrong with a name under which there is no file."""
    try:
        shipped.resolve(value).stat()
        return "that is a folder or a device; give a YAML file"
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        return f"{error.strerror}"
    except ValueError:  # a NUL
        pass
    known = sorted(file.name for file in shipped.FOLDER.glob("*.yaml"))
    close = get_close_matches(value, known, 1, 0.7) or get_close_matches(f"{value}.yaml", known, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return (
        f"there is no such file in {Path.cwd()}, and no experiment of that name is shipped{hint}; "
        f"there are {', '.join(known)}"
    )


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{name} can't be read: {error.strerror}.") from None
    if len(content) > LARGEST:
        raise ValueError(f"{name} has more than {LARGEST:,} bytes: that is no configuration.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise ValueError(
            f"{name} is not text in UTF-8, from line {line} on: give a YAML file, saved as UTF-8."
        ) from None


def _settings(text: str, name: str) -> dict[str, Any]:
    """What is in YAML."""
    if mark := _CONFLICT.search(text):
        line = 1 + text.count("\n", 0, mark.start())
        raise ValueError(
            f"{name} has the mark {mark[1]} of a merge conflict in line {line}: resolve it."
        )
    try:
        _check_size(text)
        content = yaml.load(text, Loader=_StrictLoader)  # no objects: a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"{name}{_place(error, text)}") from None
    except (ValueError, OverflowError) as error:  # of a date that there is not, for instance
        raise ValueError(f"{name}: {error}") from None
    _check_parts(content, name)
    return content


def _check_size(text: str) -> None:
    """Refuse what grows out of a few bytes, before anything is built of it."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    count = 0
    for event in yaml.parse(text, Loader=_Yaml):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _Unreadable(f"*{event.anchor} is not defined before", event.start_mark)
            count += sizes[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            count += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((event.anchor, count))
            elif event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = count - before + 1
        if count > MOST or len(open_) > DEEPEST:
            raise _Unreadable(
                f"this has more than {MOST:,} entries, or more than {DEEPEST} within each other",
                event.start_mark,
            )


class _Unreadable(yaml.MarkedYAMLError):
    """YAML that is correct and that nobody means."""

    def __init__(self, problem: str, mark: Any):
        super().__init__(problem=problem, problem_mark=mark)


class _StrictLoader(_Yaml):  # type: ignore[misc, valid-type]
    """Refuses a key that is given twice: YAML would take the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                if key.value in lines:
                    raise _Unreadable(
                        f"{key.value} is given a second time, after line {lines[key.value]}: leave "
                        "one of them",
                        key.start_mark,
                    )
                lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def _place(error: yaml.YAMLError, text: str) -> str:
    """Where it goes wrong, and how."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f" is not YAML: {' '.join(str(error).split())}"
    at = f", line {mark.line + 1}, column {mark.column + 1}: "
    lines = text.splitlines()
    if mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t":
        return f"{at}YAML is indented by spaces, and there is a tab"
    problem = getattr(error, "problem", None) or "this is not YAML"
    problem = problem.replace("could not determine a constructor for the tag", "there is no tag")
    return at + problem.replace("but found another", "here begins another")


def _check_parts(content: Any, name: str) -> None:
    """Refuse what holds no settings by their names."""
    if content is None:
        raise ValueError(f"{name} is empty: give the settings of an experiment.")
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else f"the value {str(content)[:40]!r}"
        raise ValueError(f"{name} holds {kind}, not settings by their names, as in model: ...")
    for key, value in content.items():
        if not isinstance(key, str):
            raise ValueError(f"{name}: the key {key!r} is not the name of a setting.")
        if key in _WHOLE and not isinstance(value, dict | None):
            raise ValueError(f"{name}: {key} is {value!r}; give its settings by their names.")
