"""Rows to averages with intervals, and to one number for each pair of classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.evaluation.rows import Rows
from lightning_ecinn.metrics import bootstrap_interval, fid, is_plausible

__all__ = [
    "MEASURES",
    "Counts",
    "Estimate",
    "Measure",
    "counted",
    "estimates",
    "existing",
    "frechet_distance",
    "is_finite",
    "measures_of",
    "pair_means",
    "reference_quantile",
    "with_plausibility",
]

PLAUSIBLE = 0.05
"""A counterfactual is plausible if it is likelier than this share of the evaluated images."""


@dataclass(frozen=True)
class Measure:
    """How a column of the rows is shown.

    Attributes:
        key: the column.
        title: with the unit.
        scale: what values are multiplied by in tables for people.
        digits: after the point.
    """

    key: str
    title: str
    scale: float = 1
    digits: int = 2


MEASURES = (
    Measure("validity", "validity, %", 100),
    Measure("flip", "flip rate, %", 100),
    Measure("third_class", "a third class, %", 100),
    Measure("target_posterior", "p(q), %", 100),
    Measure("tipping_gap", "|log p(p) - log p(q)|, nats", digits=3),
    Measure("alpha", "step length α", digits=3),
    Measure("l1", "L1"),
    Measure("l2", "L2"),
    Measure("en", "EN = L1 + L2"),
    Measure("sparsity", "pixels changed, %", 100),
    Measure("im1", "IM1", digits=4),
    Measure("im2", "IM2 x 100", 100, 4),
    Measure("fid", "FID (oracle's features)", digits=3),
    Measure("told_apart", "told apart, %", 100),
    Measure("told_apart_auc", "told apart, AUC", digits=3),
    Measure("oracle_agreement", "oracle sees q, %", 100),
    Measure("label_variation", "LVS, nats", digits=4),
    Measure("log_prob_after", "log p, nats", digits=1),
    Measure("quantile_after", "log p: rank among training images, %", 100),
    Measure("plausible", "plausible, %", 100),
    Measure("heatmap_mass", "heatmap: mass in true pixels, %", 100),
    Measure("heatmap_pointing", "heatmap: largest in true pixels, %", 100),
    Measure("heatmap_rank", "heatmap: top pixels true, %", 100),
    Measure("holds", "certificate holds, %", 100),
    Measure("forward_evaluations", "evaluations of f"),
    Measure("inverse_evaluations", "evaluations of its inverse"),
    Measure("seconds", "time (median), ms", 1000),
)
"""In the order of tables."""

_OF_OTHER_LABELS = (
    ("label_variation_of_", "LVS of another label, {}, nats (low is right)", 1, 4),
    ("answer_kept_of_", "answer about {} unchanged, %", 100, 2),
)
"""Start of the column, title with the label's name, scale and digits."""


@dataclass(frozen=True)
class Estimate:
    """One measure at one alpha.

    Attributes:
        alpha: its name.
        measure: the key in :data:`MEASURES`.
        value: the mean; of seconds the median.
        low: lower end of its 95 % bootstrap interval; None where there is none.
        high: the upper end.
        count: counterfactuals it is over.
    """

    alpha: str
    measure: str
    value: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class Counts:
    """How many counterfactuals of an alpha there are.

    Attributes:
        alpha: its name.
        asked: pairs of an image and a target.
        already: images that already are the target.
        undefined: pairs without such a step.
        exist: what averages are over.
        unknown: those of them whose log p is no number.
    """

    alpha: str
    asked: int
    already: int
    undefined: int
    exist: int
    unknown: int = 0


def measures_of(keys: Iterable[str]) -> tuple[Measure, ...]:
    """All of :data:`MEASURES`, and after them those about other labels that are among the keys."""
    others = (
        Measure(key, title.format(key.removeprefix(start)), scale, digits)
        for key in keys
        for start, title, scale, digits in _OF_OTHER_LABELS
        if key.startswith(start)
    )
    return (*MEASURES, *dict.fromkeys(others))


def reference_quantile(rows: Rows) -> float:
    """The 5 % quantile of log p of the evaluated images, each counted once, in nats.

    Of those that have one; NaN where none has.
    """
    _, first = np.unique(rows["index"], return_index=True)
    log_probs = rows["log_prob_before"][first].astype(np.float64)
    known = log_probs[np.isfinite(log_probs)]
    return float(np.quantile(known, PLAUSIBLE)) if len(known) else math.nan


def with_plausibility(rows: Rows, reference: float) -> Rows:
    """The rows with a column ``plausible``: log p above the reference; NaN if one is no number."""
    log_prob = rows["log_prob_after"]
    known = is_finite(log_prob) & math.isfinite(reference)
    plausible = np.full(len(log_prob), np.nan)
    if known.any():
        plausible[known] = is_plausible(torch.from_numpy(log_prob[known]), reference).numpy()
    return rows | {"plausible": plausible.astype(bool) if known.all() else plausible}


def counted(rows: Rows, alphas: Sequence[str]) -> list[Counts]:
    """How many counterfactuals there are of each alpha."""
    counts = []
    for alpha in alphas:
        chosen = rows["step"] == alpha
        already = int(rows["already"][chosen].sum())
        exist = int(existing(rows, alpha).sum())
        asked = int(chosen.sum())
        unknown = int((~is_finite(rows["log_prob_after"]) & existing(rows, alpha)).sum())
        counts.append(Counts(alpha, asked, already, asked - already - exist, exist, unknown))
    return counts


def estimates(
    rows: Rows, alphas: Sequence[str], *, samples: int = 1000, seed: int = 0
) -> list[Estimate]:
    """Averages over the counterfactuals that exist, with 95 % bootstrap intervals over images.

    Args:
        rows: of all alphas.
        alphas: their names.
        samples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        By alpha and measure; none for an alpha without any counterfactual.
    """
    found = []
    for alpha in alphas:
        exists = existing(rows, alpha)
        for key in (measure.key for measure in measures_of(rows)) if exists.any() else ():
            value, low, high, count = _estimate(rows, key, exists, samples, seed)
            if value is not None:
                found.append(Estimate(alpha, key, value, low, high, count))
    return found


def _estimate(
    rows: Rows, key: str, exists: np.ndarray, samples: int, seed: int
) -> tuple[float | None, float | None, float | None, int]:
    """Value, low and high end of one measure, and the counterfactuals it is over."""
    count = int(exists.sum())
    if key == "fid":
        return frechet_distance(rows, exists), None, None, count
    if key == "seconds":
        return float(np.median(rows[key][exists])), None, None, count
    if key not in rows:
        return None, None, None, count
    known = exists & is_finite(rows[key])  # no truth, no measure
    if not known.any():
        return None, None, None, 0
    values = torch.from_numpy(rows[key][known].astype(np.float64))
    images = torch.from_numpy(rows["index"][known])
    mean = values.mean().item()
    if not math.isfinite(mean):  # of numbers too large to add up
        return mean, None, None, len(values)
    low, high = bootstrap_interval(values, samples=samples, seed=seed, groups=images)
    return mean, low, high, len(values)


def frechet_distance(rows: Rows, chosen: np.ndarray) -> float | None:
    """FID of the chosen counterfactuals and all evaluated images, each image once.

    None without an oracle's features, or with fewer than two of one kind that are finite.
    """
    if "features" not in rows:
        return None
    _, first = np.unique(rows["index"], return_index=True)
    inputs, features = rows["input_features"][first], rows["features"][chosen]
    inputs, features = (part[is_finite(part).all(1)] for part in (inputs, features))
    if min(len(inputs), len(features)) < 2:
        return None
    return float(fid(torch.from_numpy(inputs), torch.from_numpy(features)))


def pair_means(rows: Rows, key: str, alpha: str, num_classes: int) -> Tensor:
    """Mean of a column for each pair of source p and target q, (K, K) float64.

    NaN for pairs of which no counterfactual exists.
    """
    exists = existing(rows, alpha) & is_finite(rows[key])
    cell = rows["source"][exists] * num_classes + rows["target"][exists]
    size = num_classes**2
    sums = np.bincount(cell, rows[key][exists].astype(np.float64), size)
    counts = np.bincount(cell, minlength=size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return torch.from_numpy(means).reshape(num_classes, num_classes)


def existing(rows: Rows, alpha: str | None = None) -> np.ndarray:
    """Which rows (R,) are counterfactuals, of one alpha or of any.

    Images that are the target already are none, and pairs without such a step have none.
    """
    exists = rows["defined"] & ~rows["already"]
    return exists if alpha is None else exists & (rows["step"] == alpha)


def is_finite(column: np.ndarray) -> np.ndarray:
    """Which values of a column are numbers, of its shape."""
    return np.isfinite(column.astype(np.float64))
