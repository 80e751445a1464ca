"""What of the input survives in its counterfactual, within each pair of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.evaluation.properties import PROPERTIES
from lightning_ecinn.evaluation.rows import Rows
from lightning_ecinn.evaluation.summary import Estimate, existing, is_finite
from lightning_ecinn.metrics import comparable, rank_correlation, rank_correlation_interval

__all__ = [
    "Correlation",
    "Survival",
    "pair_survival",
    "survival_estimates",
    "survival_tables",
    "survival_values",
    "surviving",
]

_FEWEST = 10
"""Counterfactuals of a pair of classes, for a number of its own."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's correlation within pairs of classes, averaged by their sizes.

    Attributes:
        value: NaN if no pair has one.
        low: lower end of its 95 % bootstrap interval over images; None where there is none.
        high: the upper end.
        count: counterfactuals it is over.
        left_out: those of which the property is no number, on either side, or whose pair of
            classes has too few to rank.
    """

    value: float
    low: float | None
    high: float | None
    count: int
    left_out: int


@dataclass(frozen=True)
class Survival:
    """What is left of a property of the input.

    Attributes:
        alpha: the step's name.
        key: of :data:`PROPERTIES`.
        counterfactual: the input's property with the counterfactual's.
        random: with that of a random real image of the target class instead.
    """

    alpha: str
    key: str
    counterfactual: Correlation
    random: Correlation


def surviving(
    rows: Rows, alphas: Sequence[str], *, samples: int = 1000, seed: int = 0
) -> list[Survival]:
    """How well the order of the inputs survives in the counterfactuals, by alpha and property.

    The control takes for each counterfactual one of the evaluated images whose label is q, any but
    the input itself: about 0 within pairs, since nothing then ties the two but their classes.

    Args:
        rows: of all alphas, with the columns of :data:`PROPERTIES`.
        alphas: their names.
        samples: of the bootstrap.
        seed: of the bootstrap and of the random images.

    Returns:
        None for an alpha without any counterfactual, and none at all without the columns.
    """
    if f"{PROPERTIES[0].key}_before" not in rows:
        return []
    found = []
    drawn = _of_the_target(rows, seed)
    for alpha in alphas:
        chosen = np.flatnonzero(existing(rows, alpha))
        for key in (one.key for one in PROPERTIES) if len(chosen) else ():
            before = rows[f"{key}_before"]
            control = np.where(drawn < 0, math.nan, before[drawn])
            columns = rows[f"{key}_after"], control
            both = (_correlation(rows, before, c, chosen, samples, seed) for c in columns)
            found.append(Survival(alpha, key, *both))
    return found


def pair_survival(rows: Rows, key: str, alpha: str, num_classes: int) -> list[list[float | None]]:
    """The rank correlation of one property in each pair of source p and target q, (K, K).

    None for pairs of fewer than ten counterfactuals: so few say nothing.
    """
    before, after = (rows[f"{key}_{side}"] for side in ("before", "after"))
    known = existing(rows, alpha) & is_finite(before) & is_finite(after)
    matrix: list[list[float | None]] = [[None] * num_classes for _ in range(num_classes)]
    for p, q in np.ndindex(num_classes, num_classes):
        here = known & (rows["source"] == p) & (rows["target"] == q)
        if here.sum() >= _FEWEST:
            rho = rank_correlation(_column(before[here]), _column(after[here]))
            matrix[p][q] = rho if math.isfinite(rho) else None
    return matrix


def survival_tables(found: Sequence[Survival]) -> list[list[list[str]]]:
    """A table for each alpha, properties as rows; the first row and column are headings."""
    titles = {one.key: one.title for one in PROPERTIES}
    tables = {
        one.alpha: [[
            f"what survives, step {one.alpha}",
            "rank correlation within class pairs",
            "with a random image of the target class",
            "counterfactuals",
            "left out",
        ]]
        for one in found
    }  # fmt: skip
    for one in found:
        kept = one.counterfactual
        cells = [_text(kept), _text(one.random), f"{kept.count:,}", f"{kept.left_out:,}"]
        tables[one.alpha].append([titles[one.key], *cells])
    return list(tables.values())


def survival_values(found: Sequence[Survival]) -> dict[str, dict[str, Any]]:
    """All as plain values: by alpha, property, and "counterfactual" or "random"."""
    nested: dict[str, dict[str, Any]] = {}
    for one in found:
        both = {"counterfactual": asdict(one.counterfactual), "random": asdict(one.random)}
        nested.setdefault(one.alpha, {})[one.key] = both
    return nested


def survival_estimates(found: Sequence[Survival]) -> list[Estimate]:
    """Those that are numbers, named survival_slant, survival_slant_of_random and so on."""
    ends = {"": "counterfactual", "_of_random": "random"}
    every = (
        (one.alpha, f"survival_{one.key}{end}", getattr(one, side))
        for one in found
        for end, side in ends.items()
    )
    return [
        Estimate(alpha, name, kept.value, kept.low, kept.high, kept.count)
        for alpha, name, kept in every
        if kept.count
    ]


def _correlation(
    rows: Rows, before: np.ndarray, after: np.ndarray, chosen: np.ndarray, samples: int, seed: int
) -> Correlation:
    known = chosen[is_finite(before[chosen]) & is_finite(after[chosen])]
    pairs = _column(rows["source"] * (1 + rows["target"].max()) + rows["target"])
    if len(known):
        columns = _column(before[known]), _column(after[known])
        known = known[comparable(*columns, pairs[known]).numpy()]
    if not len(known):
        return Correlation(math.nan, None, None, 0, len(chosen))
    a, b, groups = _column(before[known]), _column(after[known]), pairs[known]
    images = _column(rows["index"][known])
    value = rank_correlation(a, b, groups)
    low, high = rank_correlation_interval(a, b, groups, images=images, samples=samples, seed=seed)
    return Correlation(value, low, high, len(known), len(chosen) - len(known))


def _of_the_target(rows: Rows, seed: int) -> np.ndarray:
    """For each row one whose image has the target as its label, (R,); -1 where there is none.

    Rows of one image and target, at different steps, get the same.
    """
    _, first = np.unique(rows["index"], return_index=True)
    pairs, pair = np.unique(np.stack((rows["index"], rows["target"])), axis=1, return_inverse=True)
    uniform = np.random.default_rng(seed).random(size=(pairs.shape[1],))
    drawn = np.full(pairs.shape[1], -1)
    for q in np.unique(pairs[1]):
        of_q = first[rows["label"][first] == q]
        here = np.flatnonzero(pairs[1] == q)
        own = np.searchsorted(rows["index"][of_q], pairs[0, here])
        inside = own < len(of_q)
        inside[inside] = rows["index"][of_q][own[inside]] == pairs[0, here][inside]
        size = len(of_q) - inside
        number = (uniform[here] * size).astype(int)
        number += inside & (number >= own)  # any but itself
        drawn[here[size > 0]] = of_q[number[size > 0]]
    return drawn[pair.reshape(-1)]


def _column(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _text(one: Correlation) -> str:
    if one.low is None or one.high is None:
        return "–"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
