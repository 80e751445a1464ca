"""Settings of the rivals: several are tried on images of their own, and the best is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.classifiers_rows import COLUMNS, Judges, Method, Question, answered, cells, rank
from benchmarks.measure import Table
from benchmarks.searches import LatentSearch, Wachter

__all__ = ["LATENT", "PROTOTYPES", "WACHTER", "best", "in_words"]

WACHTER = [
    *(
        Wachter(lr, 1.0, term, first)
        for term in ("square", "cross_entropy")
        for lr in (0.01, 0.03, 0.1)
        for first in (True, False)
    ),
    *(Wachter(lr, 100.0, "cross_entropy") for lr in (0.01, 0.03, 0.1, 0.3)),
    *(Wachter(lr, 1.0, "cross_entropy") for lr in (0.3, 1.0)),
]
LATENT = [
    *(LatentSearch(lr, adam=True) for lr in (0.003, 0.01, 0.03, 0.1, 0.3)),
    *(LatentSearch(lr, adam=False) for lr in (0.03, 0.3, 3.0)),
    *(LatentSearch(lr, adam=True) for lr in (0.6, 1.0, 2.0)),
]
PROTOTYPES = [
    *(
        {"theta": theta, "beta": 0.1, "lr": lr, "iterations": 200}
        for theta in (10.0, 100.0)
        for lr in (0.01, 0.1)
    ),
    {"theta": 1000.0, "beta": 0.1, "lr": 0.01, "iterations": 200},
    {"theta": 100.0, "beta": 0.1, "lr": 0.01, "iterations": 500},
]

Settings = TypeVar("Settings")


def best(
    name: str,
    choices: Sequence[Settings],
    method_of: Callable[[Settings], Method],
    question: Question,
    judges: Judges,
    confidence: float,
    out: Path,
) -> tuple[Settings, Table]:
    """The settings whose pictures are valid and seen as q by the other network most often.

    Of equal ones, those of the lower IM1 or, without autoencoders, the smaller change.

    Args:
        name: of the method.
        choices: what is tried.
        method_of: the method with such settings.
        question: images that nothing is measured on.
        judges: who says so.
        confidence: asked for.
        out: folder of the answers.

    Returns:
        The best and what all of them came to.
    """
    columns = ["settings", *(column.format(f"{confidence:g}") for column in COLUMNS)]
    table, ranks = Table(f"Settings tried: {name}", columns), []
    for number, choice in enumerate(choices):
        method, words = method_of(choice), in_words(choice)
        found = answered(out / f"{number}.npz", question, method, words)
        table.rows.append([words, *cells(question, found, judges, confidence)])
        ranks.append(rank(question, found, judges))
    chosen = choices[max(range(len(choices)), key=lambda k: ranks[k])]
    table.notes = [
        f"On the last {len(question.images)} images, which rivals are asked about only here. "
        f"Kept: {in_words(chosen)}."
    ]
    return chosen, table


def in_words(settings: Any) -> str:
    """Settings as "lr 0.1, first True"."""
    values = settings if isinstance(settings, dict) else asdict(settings)
    return ", ".join(f"{name} {value}" for name, value in values.items())
