"""Directions between classes: which pairs of classes are near, and which directions are alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.inputs import checked_classes, shown

__all__ = [
    "classes_with_mean",
    "direction_cosines",
    "given_classes",
    "nearest_pairs",
    "pair_of_classes",
]

Pair = tuple[int, int]


def nearest_pairs(class_means: Tensor, classes: Sequence[int], count: int) -> list[Pair]:
    """Up to `count` pairs p < q of these classes, those whose means are nearest, in order of p, q.

    Args:
        class_means: (K, D).
        classes: at least two of 0 to K - 1.
        count: at least 1.

    Example:
        >>> nearest_pairs(torch.tensor([[0.0], [1.0], [3.0]]), classes=[0, 1, 2], count=2)
        [(0, 1), (1, 2)]
    """
    means = class_means.detach().cpu().double()
    pairs = list(combinations(sorted(classes), 2))
    return sorted(sorted(pairs, key=lambda pair: _distance(means, pair))[:count])


def direction_cosines(class_means: Tensor, pairs: Sequence[Pair]) -> Tensor:
    r"""Cosines of the angles between directions of classes, (P, P), float64.

    .. math:: \cos(\Delta_{pq}, \Delta_{rs}), \qquad \Delta_{pq} = \bar\mu_q - \bar\mu_p

    Args:
        class_means: (K, D).
        pairs: P pairs (p, q).

    Returns:
        NaN for a direction between equal means, which has no angle.

    Example:
        >>> corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> direction_cosines(corners, [(0, 1), (0, 2), (1, 0)]).tolist()
        [[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]
    """
    means = class_means.detach().cpu().double()
    directions = torch.stack([means[q] - means[p] for p, q in pairs])
    directions = directions / directions.norm(dim=1, keepdim=True)
    return (directions @ directions.T).clamp(-1, 1)


def classes_with_mean(explainer: Explainer) -> list[int]:
    """The classes that have a mean.

    Raises:
        ValueError: fewer than two do.
    """
    found = (explainer.classifier.class_counts > 0).nonzero().flatten().tolist()
    if not found:
        raise ValueError("No class means, no directions between them; `means` builds them.")
    if len(found) == 1:
        raise ValueError(
            f"Only class {explainer.class_names[found[0]]} has a mean, and a direction needs two: "
            "no training image is classified as any other; train longer."
        )
    return found


def pair_of_classes(
    explainer: Explainer, source: int | str | None, target: int | str | None
) -> Pair:
    """Two classes by number or name; of what is not given, the ones whose means are nearest.

    Raises:
        ValueError: one is no class or has no mean, or both are the same.
    """
    known = classes_with_mean(explainer)
    p, q = given_classes(explainer.classifier, source, target)
    without = [explainer.class_names[k] for k in (p, q) if k is not None and k not in known]
    if without:
        raise ValueError(f"Class {without[0]} has no mean: choose another class.")
    means = explainer.classifier.class_means.detach().cpu().double()
    sources, targets = ([k] if k is not None else known for k in (p, q))
    pairs = [(i, j) for i in sources for j in targets if i != j]
    return min(pairs, key=lambda pair: _distance(means, pair))


def given_classes(
    classifier: GenerativeClassifier, source: int | str | None, target: int | str | None
) -> tuple[int | None, int | None]:
    """Two classes by number or name as numbers; None stays None.

    Raises:
        ValueError: one is no class, or both are the same.
    """
    p, q = (
        None if given is None else _class(classifier, given, name)
        for name, given in (("source", source), ("target", target))
    )
    if p is not None and p == q:
        raise ValueError(
            f"source and target are both {classifier.class_names[p]}: give two classes."
        )
    return p, q


def _class(classifier: GenerativeClassifier, given: int | str, name: str) -> int:
    names = classifier.class_names
    if not isinstance(given, int | str) or isinstance(given, bool):
        raise ValueError(f"{name} must be one class, by number or name, got {shown(given)}.")
    if isinstance(given, int) and not 0 <= given < len(names):
        raise ValueError(f"{name} must be a class from 0 to {len(names) - 1}, got {given}.")
    return int(checked_classes(given, name, len(names), torch.device("cpu"), names))


def _distance(means: Tensor, pair: Pair) -> float:
    return (means[pair[1]] - means[pair[0]]).norm().item()
