"""Steps as users name them: checked, and as they are called in tables and files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast, get_args

import numpy as np

from lightning_ecinn.ecinn.steps import NamedStep

__all__ = ["alpha_name", "check_alphas"]


def check_alphas(alphas: Sequence[str | float]) -> list[NamedStep | float]:
    """The alphas, unless they are no list of different steps.

    Raises:
        ValueError: says which steps there are.
    """
    known = get_args(NamedStep)
    if not isinstance(alphas, Sequence):
        raise ValueError(f"--alphas: give a list of steps, got {alphas!r}.")
    wrong = [
        alpha
        for alpha in alphas
        if not (
            alpha in known or (isinstance(alpha, int | float | np.number) and 0 <= alpha < math.inf)
        )
    ]
    if wrong or not alphas:
        given = f"there is no step {wrong[0]!r}" if wrong else "there are none"
        raise ValueError(
            f"--alphas: {given}; give some of {', '.join(known)}, or step lengths of at least 0."
        )
    names = [alpha_name(alpha) for alpha in alphas]
    if len(set(names)) < len(names):
        raise ValueError(f"--alphas: a step is there twice in {', '.join(names)}; give each once.")
    return cast(list[NamedStep | float], list(alphas))


def alpha_name(alpha: str | float) -> str:
    """How a step is called in tables and files."""
    return alpha if isinstance(alpha, str) else f"{alpha:g}"
