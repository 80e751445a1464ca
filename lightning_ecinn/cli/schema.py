"""The configuration as a JSON schema, made of the parser's own types and docstrings."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pytorch_lightning as pl
from jsonargparse import ArgumentParser
from pytorch_lightning.cli import ArgsType, LightningArgumentParser

from lightning_ecinn import callbacks, datamodules, training
from lightning_ecinn.cli.command_line import ECINNCLI
from lightning_ecinn.cli.known import written_with
from lightning_ecinn.training.found import FOUND, FOUND_IN_DATA

__all__ = ["make_schema"]

_BASES = {
    "model": (training, pl.LightningModule),
    "data": (datamodules, pl.LightningDataModule),
    "callback": (callbacks, pl.Callback),
}
"""The kinds of classes whose settings are said in full, and where ours are."""

_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
_AS_TEXT = (Path, timedelta)


def make_schema() -> dict[str, Any]:
    """The schema of all that ``--config`` files may say, for any subcommand.

    Beside what JSON schema knows there are ``x-commands``: the settings of each subcommand, and
    their schemas where several subcommands have different ones, and
    ``x-written-with``: the versions of the libraries whose settings are among them.
    """
    parsers = _Parsers.of_all()
    properties: dict[str, Any] = {}
    commands = {}
    for command, parser in parsers.items():
        settings = _settings(parser)
        commands[command] = settings
        for name, schema in settings.items():
            known = properties.setdefault(name, schema)
            if known != schema and schema not in known.get("anyOf", []):
                properties[name] = {"anyOf": [known, schema]}
    for settings in commands.values():
        for name in settings.keys() & properties.keys():
            settings[name] = settings[name] if settings[name] != properties[name] else {}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A configuration of lightning_ecinn",
        "type": "object",
        "properties": _nested(properties),
        "additionalProperties": False,
        "definitions": {kind: _kind(kind) for kind in _BASES} | _classes(),
        "x-commands": commands,
        "x-written-with": written_with(),
    }


class _Parsers(ECINNCLI):
    """The command line up to its parsers: nothing is parsed, nothing run."""

    parsers: dict[str, LightningArgumentParser]

    @classmethod
    def of_all(cls) -> dict[str, LightningArgumentParser]:
        """Of each subcommand."""
        made = cls.__new__(cls)
        with suppress(_ParsersMade):
            made.__init__([])  # type: ignore[misc]
        return made.parsers

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Instead of parsing."""
        self.parsers = dict(self._subcommand_parsers)
        raise _ParsersMade


class _ParsersMade(BaseException):
    """The parsers are there."""


def _settings(parser: ArgumentParser) -> dict[str, Any]:
    """Each setting of a parser, by its name with dots."""
    return {
        action.dest: _described(action)
        for action in parser._actions
        if type(action).__name__ == "ActionTypeHint" and action.option_strings
    }


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``trainer.max_epochs`` as a property of ``trainer``."""
    found: dict[str, Any] = {}
    for name, schema in settings.items():
        group, _, inner = name.rpartition(".")
        if not group:
            found[name] = schema
            continue
        part = found.setdefault(
            group, {"type": ["object", "null"], "properties": {}, "additionalProperties": False}
        )
        part["properties"][inner] = schema
    return found


def _described(action: Any) -> dict[str, Any]:
    """What an option may be, what it is for and what it is otherwise."""
    schema = _of_type(action._typehint)
    if action.help and action.help != "==SUPPRESS==":
        schema["description"] = " ".join(action.help.split())
    if isinstance(action.default, bool | int | float | str | list | tuple):
        schema["default"] = _jsonable(action.default)
    return schema


def _jsonable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _of_type(hint: Any) -> dict[str, Any]:
    """A type as a schema; what has no counterpart may be anything."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": _without_repeats(map(_of_type, arguments))}
    if not isinstance(origin or hint, type):
        return {}
    return _of_container(origin, arguments) if origin else _of_class(hint)


def _of_container(origin: type, arguments: Sequence[Any]) -> dict[str, Any]:
    if issubclass(origin, Mapping):
        return {"type": "object"}
    if issubclass(origin, tuple) and ... not in arguments:
        items = [_of_type(one) for one in arguments]
        return {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}
    if issubclass(origin, Iterable):
        return {"type": "array", "items": _of_type(arguments[0])} if arguments else {}
    return {}


def _of_class(hint: type) -> dict[str, Any]:
    for kind, (_, base) in _BASES.items():
        if issubclass(hint, base):
            return {"$ref": f"#/definitions/{kind}"}
    if issubclass(hint, Enum):
        return {"enum": [entry.name for entry in hint]}
    if issubclass(hint, _AS_TEXT):
        return {"type": "string"}
    return {}  # a class of Lightning's: its name, or its name and settings


def _without_repeats(schemas: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for schema in schemas:
        if schema not in found:
            found.append(schema)
    return found


def _ours(kind: str) -> dict[str, type]:
    """The classes of this project of a kind, by name."""
    package, base = _BASES[kind]
    found = {name: getattr(package, name) for name in package.__all__}
    return {
        name: one
        for name, one in found.items()
        if isinstance(one, type) and issubclass(one, base) and not _is_abstract(one)
    }


def _is_abstract(one: type) -> bool:
    return bool(getattr(one, "__abstractmethods__", ()))


def _kind(kind: str) -> dict[str, Any]:
    """A class by its name, or its name and settings; of ours, the settings that there are."""
    names = {"enum": sorted(_ours(kind))}
    theirs = {"enum": sorted(_of_lightning(kind))}
    path = {"type": "string", "pattern": r"^[\w]+(\.[\w]+)+$"}
    chosen = {"anyOf": [names, theirs, path]}
    settings = [
        {
            "if": {"properties": {"class_path": {"enum": _paths(one)}}, "required": ["class_path"]},
            "then": {"properties": {"init_args": {"$ref": f"#/definitions/{name}"}}},
        }
        for name, one in sorted(_ours(kind).items())
    ]
    whole = {
        "type": "object",
        "properties": {
            "class_path": chosen,
            "init_args": {"type": ["object", "null"]},
            "dict_kwargs": {"type": "object"},
        },
        "additionalProperties": False,
        "allOf": settings,
    }
    return {"anyOf": [chosen, whole]}


def _of_lightning(kind: str) -> set[str]:
    """Lightning's own of a kind, which need no path."""
    package = {"callback": pl.callbacks}.get(kind)
    return set(package.__all__) - _ours(kind).keys() if package else set()


def _paths(one: type) -> list[str]:
    """What a class is called in configurations."""
    return [one.__name__, f"lightning_ecinn.{one.__name__}", f"{one.__module__}.{one.__name__}"]


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What may also be null: the recipe finds it in the data."""
    said = {key: value for key, value in schema.items() if key in ("description", "default")}
    kinds = schema.get("anyOf") or [{k: v for k, v in schema.items() if k not in said}]
    either: dict[str, Any] = {"anyOf": _without_repeats([*kinds, {"type": "null"}])}
    return either | said


def _classes() -> dict[str, Any]:
    """The settings of each class of ours."""
    found = {}
    for kind in _BASES:
        for name, one in _ours(kind).items():
            parser = ArgumentParser(exit_on_error=False)
            parser.add_class_arguments(one, fail_untyped=False)
            settings = _settings(parser)
            for null in settings.keys() & {*FOUND, *FOUND_IN_DATA}:
                settings[null] = _or_null(settings[null])
            found[name] = {
                "type": ["object", "null"],
                "properties": settings,
                "additionalProperties": False,
            }
    return found
