"""The options of a `fit` as the parser understands them, without running anything."""

from __future__ import annotations

from collections.abc import Sequence

from jsonargparse import Namespace

from lightning_ecinn.cli.command_line import ECINNCLI
from lightning_ecinn.cli.words import normalise

__all__ = ["parse_fit"]


def parse_fit(words: Sequence[str]) -> Namespace:
    """What the words after ``fit`` say.

    Raises:
        SystemExit: with status 2, for values of a wrong type, which were named in one sentence.
        ValueError: for other mistakes.

    Example:
        >>> parse_fit(["--config=smoke.yaml", "--model.beta=3"]).model.init_args.beta
        3.0
    """
    parsed = _Parsed.__new__(_Parsed)
    try:
        parsed.__init__(normalise(["fit", *words]))  # type: ignore[misc]
    except _EverythingIsParsed:
        return parsed._options
    raise AssertionError("a command line builds its classes after it has parsed")


class _EverythingIsParsed(BaseException):
    """The options are there."""


class _Parsed(ECINNCLI):
    """The command line up to its options."""

    def _set_seed(self) -> None:
        """Not of this process."""

    def before_instantiate_classes(self) -> None:
        """Instead of building anything."""
        raise _EverythingIsParsed
