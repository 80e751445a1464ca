"""``schema``: what editors know configurations by."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lightning_ecinn.cli.known import known
from lightning_ecinn.cli.parsing import own_parser
from lightning_ecinn.cli.words import PROGRAM

__all__ = ["print_schema"]

_DESCRIPTION = """\
Print the JSON schema of configurations: editors that know it complete the settings of a YAML file,
explain them and mark what is misspelt. Name it in the file's first line:

  # yaml-language-server: $schema=ecinn.schema.json
"""
_EXAMPLE = f"example:\n  {PROGRAM} schema > ecinn.schema.json"


def print_schema(words: Sequence[str]) -> None:
    """Run it.

    Args:
        words: what comes after ``schema``: nothing, or ``--help``.
    """
    own_parser("schema", _DESCRIPTION, _EXAMPLE).parse_args(list(words))
    schema = known()
    if schema is None:  # other versions of libraries have other settings
        from lightning_ecinn.cli.schema import make_schema

        schema = make_schema()
    shown = {key: value for key, value in schema.items() if not key.startswith("x-")}
    print(json.dumps(shown, indent=1))
