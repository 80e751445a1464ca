"""Mistakes in words and files that are certain: said before what takes seconds is imported.

What is not certain here (a class of the user's own, a value of some type) the parser decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_ecinn import shipped
from lightning_ecinn.cli.checkpoint_names import given_checkpoint
from lightning_ecinn.cli.config_files import find_config
from lightning_ecinn.cli.errors import closest, one_line
from lightning_ecinn.cli.known import known
from lightning_ecinn.cli.parsing import is_debugging
from lightning_ecinn.cli.words import SEVERAL, find_values

__all__ = ["refuse_mistakes"]

_KINDS = ("model", "data")
_PARSERS_OWN = ("help", "print_config", "print_shtab", "version", "config")
_WITHOUT_VALUE = ("-h", "--help", "--print_config", "--version")
_EARLIER = ("step",)
"""Settings' earlier names, which the parser still understands."""

_OWN_CLASS = "give the name of a class of this project, or the full path of your own, as in"


def refuse_mistakes(words: Sequence[str]) -> None:
    """Look for what the parser would refuse.

    Args:
        words: of the command, in the parser's spelling.

    Raises:
        ValueError: there is a mistake; says which, and what is meant, perhaps.

    Example:
        >>> refuse_mistakes(["fit", "--config=mnist.yaml", "--model.betta=1"])
        Traceback (most recent call last):
        ValueError: model.betta: there is no such setting (did you mean beta?)
    """
    schema = known()
    if schema is None or is_debugging() or not words or words[0] not in schema["x-commands"]:
        return
    command, given = words[0], list(_options(words[1:]))
    _check_files(command, words)
    check = _Check(schema, command)
    for value in filter(None, find_values(words, "--config")):
        file = find_config(value)
        check.file(file.content, "" if file.source == file.text else Path(file.source).name)
    for name, value, word in given:
        check.option(name, value, word)
    begun = {name.partition(".")[0] for name, *_ in given}
    if command == "fit" and not begun & {"config", *_KINDS}:
        raise ValueError(one_line("the following arguments are required: fit.data, fit.model"))


def _options(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Names and values, and the words that they stand in.

    Raises:
        ValueError: a word is neither.
    """
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("-"):
            raise ValueError(one_line(f"unrecognized arguments: {word}"))
        name, is_joined, value = word.partition("=")
        if not is_joined and name not in _WITHOUT_VALUE:
            value = next(remaining, "")
        yield name.removeprefix("--").removesuffix("+"), value, word


def _check_files(command: str, words: Sequence[str]) -> None:
    """Checkpoints that are not there."""
    if command == "figures" and not find_values(words, "--ckpt_path", "--sweep", "--config"):
        raise ValueError(
            "figures: there is nothing to draw. Give --ckpt_path PATH of a model, or of several, "
            "or --sweep FOLDER."
        )
    for path in find_values(words, "--path")[-1:] if command == "import_ibinn" else ():
        shipped.existing(path, "give a file saved by the published IB-INN code")
    for path in find_values(words, "--ckpt_path")[-1:] if command not in SEVERAL else ():
        if path in ("last", "best", "auto", "null", ""):
            continue
        if command == "fit":
            given_checkpoint(path)
        shipped.existing(path, "give the path of a .ckpt file written by `fit`")


class _Check:
    """What is certainly wrong with files and options, which come in this order.

    Args:
        schema: of configurations.
        command: the subcommand.
    """

    def __init__(self, schema: Mapping[str, Any], command: str):
        self.definitions = schema["definitions"]
        self.properties = schema["properties"]
        self.own = schema["x-commands"][command]
        self.options = {*self.own}
        self.chosen: dict[str, str | None] = {}
        """The classes of model and data; None: one that is not ours."""

    def file(self, content: Mapping[str, Any], source: str) -> None:
        """Check what a file says."""
        try:
            self._content(content)
        except ValueError as error:
            raise ValueError(f"{error} (in {source})" if source else f"{error}") from None

    def option(self, name: str, value: str, word: str) -> None:
        """Check one of the command's options, which stands in a word."""
        kind, _, rest = name.partition(".")
        if kind in _KINDS and kind in self.options:
            self._of_class(kind, rest.removeprefix("init_args."), value)
        elif name == "trainer.callbacks" and value.isidentifier():
            self._class("callback", name, value)
        elif name in self.options:
            _check_choice(name, value, self._schema(name))
        elif not self._may_be(name):
            hint = closest(name, {*self.options, "config"}).replace("mean ", "mean --")
            raise ValueError(f"unrecognized arguments: {word}{hint}")

    def _may_be(self, name: str) -> bool:
        """Whether the parser may understand it: short for something, or of a class of its own."""
        if name.startswith("-") or name.partition(".")[0] in _PARSERS_OWN or not name:
            return True
        return any(
            option.startswith(name) or name.startswith(f"{option}.") for option in self.options
        ) or name.endswith(".help")

    def _schema(self, name: str) -> Mapping[str, Any]:
        if own := self.own.get(name):
            return dict(own)
        found: Mapping[str, Any] = {"properties": self.properties}
        for part in name.split("."):
            found = found.get("properties", {}).get(part, {})
        return found

    def _of_class(self, kind: str, name: str, value: str) -> None:
        if name in ("", "class_path"):
            if value.isidentifier():
                self._class(kind, kind, value)
            else:
                self.chosen[kind] = None
        elif "." not in name and (chosen := self.chosen.get(kind)):
            self._settings(kind, {name: value}, chosen, is_whole=False)

    def _content(self, content: Mapping[str, Any]) -> None:
        groups = {option.partition(".")[0] for option in self.options}
        for key, value in content.items():
            if key.isidentifier() and key not in groups and key not in _PARSERS_OWN:
                raise ValueError(f"{key}: there is no such setting{closest(key, groups)}")
            if key in _KINDS:
                self._one_of(key, key, value)
            elif f"{key}." in " ".join(self.options) and isinstance(value, dict):
                self._group(key, value)
            elif isinstance(value, str):
                _check_choice(key, value, self._schema(key))

    def _group(self, group: str, content: Mapping[str, Any]) -> None:
        for name, value in content.items():
            full = f"{group}.{name}"
            if name.isidentifier() and full not in self.options:
                raise ValueError(f"{full}: there is no such setting{closest(full, self.options)}")
            if full == "trainer.callbacks":
                for one in value if isinstance(value, list) else [value]:
                    self._one_of("callback", full, one)
            elif isinstance(value, str):
                _check_choice(full, value, self._schema(full))

    def _one_of(self, kind: str, key: str, value: Any) -> None:
        """A class by its name, or its name and settings."""
        if isinstance(value, str) and value.isidentifier():
            self._class(kind, key, value)
        if not isinstance(value, dict):
            return
        for name in value:
            parts = ("class_path", "init_args", "dict_kwargs")
            if self._is_mistyped(name, parts):
                raise ValueError(f"{key}.{name}: there is no such setting{closest(name, parts)}")
        chosen = self.chosen.get(kind)
        if isinstance(path := value.get("class_path"), str):
            chosen = self._class(kind, key, path)
        if chosen and isinstance(settings := value.get("init_args"), dict):
            self._settings(key, settings, chosen, is_whole=True)

    def _is_mistyped(self, name: Any, parts: Sequence[str]) -> bool:
        return isinstance(name, str) and name not in parts and bool(closest(name, parts))

    def _class(self, kind: str, key: str, path: str) -> str | None:
        """The class that is meant, if its settings are known.

        Raises:
            ValueError: there is none of that name.
        """
        chosen, _ = self.definitions[kind]["anyOf"]
        ours, theirs, _ = (one.get("enum", []) for one in chosen["anyOf"])
        package, _, name = path.rpartition(".")
        self.chosen[kind] = name if name in ours and package in ("", "lightning_ecinn") else None
        if package == "" and name not in (names := [*ours, *theirs]) and closest(name, names):
            raise _no_class(key, name, names)
        if package == "lightning_ecinn" and name not in ours and closest(name, ours):
            raise _no_class(key, path, [f"{package}.{one}" for one in ours])
        return self.chosen[kind]

    def _settings(self, key: str, settings: Mapping[str, Any], chosen: str, is_whole: bool) -> None:
        names = self.definitions[chosen]["properties"]
        for name, value in settings.items():
            if not str(name).isidentifier() or name in _EARLIER:
                continue
            # On the command line the beginning of a name is enough.
            is_short = not is_whole and any(one.startswith(name) for one in names)
            if name not in names and not is_short:
                raise ValueError(f"{key}.{name}: there is no such setting{closest(name, names)}")
            if name in names and isinstance(value, str):
                _check_choice(f"{key}.{name}", value, names[name])


def _check_choice(key: str, value: str, schema: Mapping[str, Any]) -> None:
    """Refuse a word that is none of a setting's, where it has only words."""
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    choices = list(dict.fromkeys(choice for one in kinds for choice in one.get("enum", [])))
    if not kinds or not all("enum" in one for one in kinds):
        return
    if value.isidentifier() and value not in (*map(str, choices), "null"):
        hint = closest(value, map(str, choices))
        raise ValueError(f"{key}: Expected one of {choices}. Got value: {value}{hint}")


def _no_class(key: str, name: str, names: Sequence[str]) -> ValueError:
    return ValueError(
        f"{key}: there is no class {name}{closest(name, names)}; {_OWN_CLASS} package.module.Class"
    )
