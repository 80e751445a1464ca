"""Heatmaps of many images in a few numbers: completeness, truth, correlation between models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lightning_ecinn.attribution import COMPLETENESS_LIMIT, LABELS
from lightning_ecinn.comparison.explained import Explained, resized
from lightning_ecinn.metrics import heatmap_correlation, heatmap_mass

__all__ = ["HeatmapCorrelations", "HeatmapNumbers", "numbers_table", "text_table"]


class HeatmapNumbers:
    """How complete a model's heatmaps are and how well they hit the truth, over many images."""

    def __init__(self, methods: Sequence[str]):
        self.methods = tuple(methods)
        self._gaps: dict[str, list[float]] = {method: [] for method in methods}
        self._masses: dict[str, list[float]] = {method: [] for method in methods}

    def update(self, explained: Explained, mask: Tensor | None = None) -> None:
        """Add images.

        Args:
            explained: what the model says about them.
            mask: bool (B, C or 1, H, W): the pixels that truly tell source from target.
        """
        for method in self._gaps.keys() & explained.heatmaps.keys():
            heatmap, has = explained.heatmaps[method], explained.has(method)
            if heatmap.completeness_gap is not None:
                self._gaps[method] += heatmap.completeness_gap[has].tolist()
            if mask is not None:
                mass = heatmap_mass(heatmap.values, mask.cpu())
                self._masses[method] += mass[has].tolist()

    def compute(self) -> dict[str, dict[str, float]]:
        """By method, as far as there is any: ``completeness_gap`` (the median), ``incomplete``.

        ``incomplete`` is the share of gaps above 10 %; ``mass`` the mean share of abs(heatmap) in
        the mask.
        """
        numbers: dict[str, dict[str, float]] = {}
        for method in self.methods:
            gaps, masses = torch.tensor(self._gaps[method]), torch.tensor(self._masses[method])
            found = numbers[method] = {}
            if len(gaps):
                found["completeness_gap"] = gaps.median().item()
                found["incomplete"] = (gaps > COMPLETENESS_LIMIT).float().mean().item()
            if len(masses):
                found["mass"] = masses.mean().item()
        return numbers


class HeatmapCorrelations:
    """Mean correlation between the heatmaps of K models, by method, over many images.

    Two models of two classes are compared whatever they predict: heatmaps towards the class with
    the lower number are multiplied by -1, so that all lead towards the higher one. Of models of
    more classes only those images count for which both go from the same class to the same class
    (by name), and nothing is multiplied. Heatmaps of different sizes are resized to the smaller.
    """

    def __init__(self, num_models: int, methods: Sequence[str]):
        shape = (num_models, num_models)
        self._sums = {method: torch.zeros(shape, dtype=torch.float64) for method in methods}
        self.counts = {method: torch.zeros(shape, dtype=torch.long) for method in methods}

    def update(self, models: Sequence[Explained]) -> None:
        """Add the same images, explained by all models."""
        for method in self._sums:
            for i, a in enumerate(models):
                for j, b in enumerate(models[: i + 1]):
                    r = _correlations(a, b, method)
                    for pair in {(i, j), (j, i)}:
                        self._sums[method][pair] += r.sum()
                        self.counts[method][pair] += len(r)

    def compute(self) -> dict[str, list[list[float | None]]]:
        """The matrices (K, K); None where there is no image to compare."""
        return {
            method: [
                [float(s / n) if n else None for s, n in zip(sums, counts, strict=True)]
                for sums, counts in zip(self._sums[method], self.counts[method], strict=True)
            ]
            for method in self._sums
        }


def numbers_table(numbers: Mapping[str, Mapping[str, float]]) -> str:
    """What :class:`HeatmapNumbers` found, for people: one line per method."""
    has_mass = any("mass" in found for found in numbers.values())
    rows = [["", "median gap", "gap > 10 %", *(["in true pixels"] if has_mass else [])]]
    for method, found in numbers.items():
        keys = ["completeness_gap", "incomplete", *(["mass"] if has_mass else [])]
        cells = [f"{100 * found[key]:.1f} %" if key in found else "–" for key in keys]
        rows.append([LABELS[method], *cells])
    return text_table(rows)


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first one to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if j == 0 else cell.rjust(width)
            for j, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _correlations(a: Explained, b: Explained, method: str) -> Tensor:
    """Correlation of each image (n,) that both models have a comparable heatmap of."""
    both = a.has(method) & b.has(method) & _same_question(a, b)
    if not both.any():
        return torch.zeros(0)
    x, y = a.heatmaps[method].values[both], b.heatmaps[method].values[both]
    if len(a.class_names) == len(b.class_names) == 2:
        x, y = _towards_higher(x, a.target[both]), _towards_higher(y, b.target[both])
    size = min(x.shape[2:], y.shape[2:], key=math.prod)
    return heatmap_correlation(resized(x, size), resized(y, size))


def _same_question(a: Explained, b: Explained) -> Tensor:
    if len(a.class_names) == len(b.class_names) == 2:
        return torch.ones_like(a.defined)
    pairs = [
        [(e.class_names[p], e.class_names[q]) for p, q in zip(e.source, e.target, strict=True)]
        for e in (a, b)
    ]
    return torch.tensor([x == y for x, y in zip(*pairs, strict=True)])


def _towards_higher(heatmaps: Tensor, target: Tensor) -> Tensor:
    return heatmaps * (2 * target - 1).view(-1, 1, 1, 1)
