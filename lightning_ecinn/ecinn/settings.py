"""What can be set of a step, once: `Explainer`, `IBINN` and the command line take it here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

__all__ = ["PAPER_STEP", "PathSettings", "stored_path"]

PAPER_STEP = (4 / 5, 1 / 2)
"""alpha_1 = 4/5 + alpha_0 / 2 as (offset, slope)."""


@dataclass(frozen=True, kw_only=True)
class PathSettings:
    """Which way counterfactuals go, and how far; the defaults are the paper's.

    Args:
        convincing_step: (offset, slope) of the convincing step alpha_1 = offset + slope alpha_0.
        truncation: psi from 0 to 1, how much of an image's distance from its class mean is kept
            at alpha = 1: its direction is Delta_pq - (1 - psi) (z - mu-bar_p); 1 is the paper's.
        confidence: the posterior of the target that the certified step reaches.

    Raises:
        ValueError: for a truncation outside [0, 1] and a confidence that is not between 0 and 1.

    Example:
        >>> PathSettings(truncation=0.8).convincing_step
        (0.8, 0.5)
    """

    convincing_step: tuple[float, float] = PAPER_STEP
    truncation: float = 1.0
    confidence: float = 0.9

    def __post_init__(self) -> None:
        step = self.convincing_step
        if not isinstance(step, tuple | list) or len(step) != 2 or not all(map(_is_number, step)):
            raise ValueError(f"convincing_step is {step!r}; give two numbers, (offset, slope).")
        object.__setattr__(self, "convincing_step", tuple(step))
        if not (_is_number(self.truncation) and 0 <= self.truncation <= 1):
            raise ValueError(f"truncation is {self.truncation!r}; give a number from 0 to 1.")
        if not (_is_number(self.confidence) and 0 < self.confidence < 1):
            raise ValueError(f"confidence is {self.confidence!r}; give a number between 0 and 1.")


def stored_path(settings: Mapping[str, Any], source: object) -> dict[str, Any]:
    """Those of a checkpoint's settings that are fields of `PathSettings`.

    Args:
        settings: of the module in the checkpoint, by name.
        source: the file, for the message.

    Raises:
        ValueError: one has a value that it can't have.
    """
    found = {one.name: settings[one.name] for one in fields(PathSettings) if one.name in settings}
    try:
        PathSettings(**found)
    except ValueError as error:
        raise ValueError(f"In {source}, {error}") from None
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)
