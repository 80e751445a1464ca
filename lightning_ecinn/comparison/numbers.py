"""Heatmaps of many images in a few numbers: completeness, truth, correlation between models."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import TypeVar

import torch
from torch import Tensor

from lightning_ecinn.attribution import COMPLETENESS_LIMIT, LABELS
from lightning_ecinn.comparison.explained import Explained, resized
from lightning_ecinn.figures import text_table
from lightning_ecinn.metrics import MeanMeasure, heatmap_correlation, heatmap_mass, heatmap_noise

__all__ = ["HeatmapCorrelations", "HeatmapNumbers", "numbers_table"]

T = TypeVar("T")


class HeatmapNumbers:
    """How complete a model's heatmaps are and how well they hit the truth, over many images."""

    def __init__(self, methods: Sequence[str]):
        self.methods = tuple(methods)
        self._gaps: dict[str, list[float]] = {method: [] for method in methods}
        self._masses = {method: _mean_of(heatmap_mass) for method in methods}
        self._noises = {method: _mean_of(heatmap_noise) for method in methods}

    def update(self, explained: Explained, mask: Tensor | None = None) -> None:
        """Add images.

        Args:
            explained: what the model says about them.
            mask: bool (B, C or 1, H, W): the pixels that truly tell source from target.
        """
        for method in self._gaps.keys() & explained.heatmaps.keys():
            heatmap, has = explained.heatmaps[method], explained.has(method)
            if heatmap.completeness_gap is not None:
                gaps = heatmap.completeness_gap[has]
                self._gaps[method] += gaps[gaps.isfinite()].tolist()
            if has.any():
                self._noises[method].update(heatmap.values[has])
            if mask is not None:
                inside = mask.expand_as(heatmap.values).cpu()
                self._masses[method].update(heatmap.values[has], inside[has])

    def compute(self) -> dict[str, dict[str, float]]:
        """By method, as far as there is any: ``completeness_gap`` (the median), ``incomplete``.

        ``incomplete`` is the share of gaps above `COMPLETENESS_LIMIT`; ``mass`` the mean share of
        abs(heatmap) in the mask; ``noise`` the mean of `metrics.heatmap_noise`.
        """
        numbers: dict[str, dict[str, float]] = {}
        for method in self.methods:
            gaps, mass = torch.tensor(self._gaps[method]), self._masses[method]
            noise = self._noises[method]
            found = numbers[method] = {}
            if len(gaps):
                found["completeness_gap"] = gaps.median().item()
                found["incomplete"] = (gaps > COMPLETENESS_LIMIT).float().mean().item()
            if mass.count:
                found["mass"] = mass.compute().item()
            if noise.count:
                found["noise"] = noise.compute().item()
        return numbers


class HeatmapCorrelations:
    """Mean correlation between the heatmaps of K models, by method, over many images.

    Two models of two classes are compared whatever they predict: heatmaps towards the class with
    the lower number are multiplied by -1, so that all lead towards the higher one. Of models of
    more classes only those images count for which both go from the same class to the same class
    (by name), and nothing is multiplied. Heatmaps of different sizes are resized to the smaller.
    """

    def __init__(self, num_models: int, methods: Sequence[str]):
        self._num_models = num_models
        pairs = list(combinations_with_replacement(range(num_models), 2))
        self._means = {
            method: {pair: _mean_of(heatmap_correlation) for pair in pairs} for method in methods
        }

    def update(self, models: Sequence[Explained]) -> None:
        """Add the same images, explained by all models."""
        for method, means in self._means.items():
            for (i, j), mean in means.items():
                if (heatmaps := _comparable(models[i], models[j], method)) is not None:
                    mean.update(*heatmaps)

    @property
    def counts(self) -> dict[str, Tensor]:
        """How many images were compared, (K, K)."""
        counts = self._matrices(lambda mean: int(mean.count))
        return {method: torch.tensor(matrix) for method, matrix in counts.items()}

    def compute(self) -> dict[str, list[list[float | None]]]:
        """The matrices (K, K); None where there is no image to compare."""
        return self._matrices(lambda mean: mean.compute().item() if mean.count else None)

    def _matrices(self, number: Callable[[MeanMeasure], T]) -> dict[str, list[list[T]]]:
        every = range(self._num_models)
        return {
            method: [[number(means[min(i, j), max(i, j)]) for j in every] for i in every]
            for method, means in self._means.items()
        }


def numbers_table(numbers: Mapping[str, Mapping[str, float]]) -> str:
    """What :class:`HeatmapNumbers` found, for people: one line per method."""
    has_mass = any("mass" in found for found in numbers.values())
    limit = f"gap > {100 * COMPLETENESS_LIMIT:.0f} %"
    rows = [["", "median gap", limit, *(["in true pixels"] if has_mass else []), "noise"]]
    for method, found in numbers.items():
        keys = ["completeness_gap", "incomplete", *(["mass"] if has_mass else [])]
        values = [found.get(key, math.nan) for key in keys]
        cells = [f"{100 * value:.1f} %" if math.isfinite(value) else "–" for value in values]
        noise = f"{found['noise']:.2f}" if "noise" in found else "–"
        rows.append([LABELS[method], *cells, noise])
    return text_table(rows)


def _mean_of(measure: Callable[..., Tensor]) -> MeanMeasure:
    """In this process: the first one draws alone, and the others would be waited for."""
    return MeanMeasure(measure, sync_on_compute=False)


def _comparable(a: Explained, b: Explained, method: str) -> tuple[Tensor, Tensor] | None:
    """Both models' heatmaps (n, C, H, W) of the images that they can be compared of, if any."""
    both = a.has(method) & b.has(method) & _same_question(a, b)
    if not both.any():
        return None
    x, y = a.heatmaps[method].values[both], b.heatmaps[method].values[both]
    if len(a.class_names) == len(b.class_names) == 2:
        x, y = _towards_higher(x, a.target[both]), _towards_higher(y, b.target[both])
    size = min(x.shape[2:], y.shape[2:], key=math.prod)
    return resized(x, size), resized(y, size)


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
