"""The tables and the picture of the benchmark of ordinary classifiers' counterfactuals."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from benchmarks.classifiers_rows import COLUMNS, Method, Question, answered, cells
from benchmarks.classifiers_setup import Setup, ours
from benchmarks.measure import Table, ratio
from benchmarks.searches import Searched
from lightning_ecinn import Explainer
from lightning_ecinn.blackbox import BlackBoxExplainer
from lightning_ecinn.figures.grid import picture_grid

__all__ = ["Rival", "draw", "missed", "quality", "times"]

_SHOWN = 6
"""Digits in the picture."""


@dataclass(frozen=True)
class Rival:
    """A method at a confidence: a row of the tables.

    Attributes:
        name: as a reader knows it.
        confidence: asked for.
        settings: in words.
        gradients: whether it needs the classifier's.
        question: what it is asked: the first images of all.
        method: does it.
        path: of its answers.
    """

    name: str
    confidence: float
    settings: str
    gradients: bool
    question: Question
    method: Method
    path: Path

    def answers(self, chunk: int = 100) -> Searched:
        """All of its answers: those of its file, and what is missing there."""
        return answered(self.path, self.question, self.method, self.settings, chunk)


def quality(setup: Setup, rivals: Sequence[Rival], lowest: float) -> list[Table]:
    """What they are worth: a table for each number of images that somebody was asked about.

    Args:
        setup: judges.
        rivals: the rows.
        lowest: the confidence at which a picture is valid.
    """
    columns = ["method", "confidence", "gradients", *(c.format(f"{lowest:g}") for c in COLUMNS)]
    tables = []
    for count in sorted({len(rival.question.index) for rival in rivals}, reverse=True):
        tables.append(Table(f"On {count:,} images", columns))
        for rival in rivals:
            if len(rival.question.index) >= count:
                row = [rival.name, rival.confidence, "needed" if rival.gradients else "no"]
                question, found = rival.question.first(count), rival.answers().first(count)
                tables[-1].rows.append([*row, *cells(question, found, setup.judges, lowest)])
    return tables


def missed(setup: Setup, rivals: Sequence[Rival]) -> Table:
    """Where ours found nothing, and what else finds something there."""
    truncation = setup.explainer.flow.truncation
    lower = max(0.0, round(truncation - 0.2, 2))
    others = {
        "second direction": _changed(setup.explainer, truncation, turned=True),
        f"truncation {lower:g}": _changed(setup.explainer, lower, turned=False),
    }
    columns = ["confidence", "missed, %", "images", *(f"found with {name}" for name in others)]
    table = Table("What ours missed", columns)
    for rival in rivals:
        which = ~rival.answers().found
        numbers = rival.question.index[which].tolist()
        named = ", ".join(map(str, numbers[:12])) + (" ..." if len(numbers) > 12 else "")
        row = [rival.confidence, 100 * which.double().mean().item(), len(numbers), named]
        images, target = rival.question.images[which], rival.question.target[which]
        for other in others.values():
            row.append(int(ours(other, rival.confidence)(images, target).found.sum()))
        table.rows.append(row)
    table.columns.insert(3, "their numbers")
    return table


def times(setup: Setup, rivals: Sequence[Rival], count: int) -> Table:
    """Seconds for one picture: one at a time, the methods taking turns."""
    question = setup.question.first(count)
    seconds: list[list[float]] = [[] for _ in rivals]
    for rival in rivals:
        rival.method(question.images[:1], question.target[:1])  # warm up
    for image, target in zip(question.images.split(1), question.target.split(1), strict=True):
        for rival, own in zip(rivals, seconds, strict=True):
            own.append(_seconds(rival.method, image, target))
    columns = ["method", "confidence", "s per picture (median)", "times ours at the confidence"]
    table = Table("One picture at a time", columns)
    for rival, own in zip(rivals, seconds, strict=True):
        beside = next(k for k, other in enumerate(rivals) if other.confidence == rival.confidence)
        slower = ratio({"slow": own, "fast": seconds[beside]}, "slow", "fast")
        table.rows.append([rival.name, rival.confidence, statistics.median(own), slower])
    table.notes = [f"{len(question.index)} pictures; ratios are medians over the turns."]
    return table


def draw(rivals: Sequence[Rival], path: Path) -> None:
    """Digits of different classes above what each method made of them."""
    fewest = min((rival.question for rival in rivals), key=lambda one: len(one.index))
    chosen = _various(fewest, _SHOWN)
    labels: list[str] = ["input"]
    rows: list[list[Tensor | None]] = [list(fewest.images[chosen])]
    for rival in rivals:
        found = rival.answers()
        rows.append([found.pictures[k] if found.found[k] else None for k in chosen])
        labels.append(f"{rival.name}, {rival.confidence:g}")
    pairs = zip(fewest.source[chosen].tolist(), fewest.target[chosen].tolist(), strict=True)
    columns = [f"{p} → {q}" for p, q in pairs]
    picture_grid(rows, row_labels=labels, column_labels=columns).savefig(path, dpi=150)


def _changed(explainer: BlackBoxExplainer, truncation: float, turned: bool) -> BlackBoxExplainer:
    return BlackBoxExplainer(
        Explainer(explainer.flow.classifier, truncation=truncation),
        explainer.predictor,
        explainer.class_means,
        explainer.class_counts,
        second_direction=turned,
    )


def _seconds(method: Method, image: Tensor, target: Tensor) -> float:
    start = time.perf_counter()
    method(image, target)
    return time.perf_counter() - start


def _various(question: Question, count: int) -> list[int]:
    """The first images of different sources and targets, then any."""
    chosen: list[int] = []
    sources, targets = question.source.tolist(), question.target.tolist()
    for k, (p, q) in enumerate(zip(sources, targets, strict=True)):
        new = all(p != sources[j] and q != targets[j] for j in chosen)
        if new and len(chosen) < count:
            chosen.append(k)
    rest = [k for k in range(len(sources)) if k not in chosen]
    return chosen + rest[: count - len(chosen)]
