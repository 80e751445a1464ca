"""Counterfactuals beside as many real images of their classes, for a network to tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.evaluation.rows import Rows
from lightning_ecinn.evaluation.summary import Estimate, existing, is_finite
from lightning_ecinn.evaluation.targets import Pairs
from lightning_ecinn.metrics import told_apart
from lightning_ecinn.metrics.two_sample import FEWEST
from lightning_ecinn.models.networks import ConvNetwork

__all__ = ["RealismSample", "choose_realism_sample", "realism", "realism_pictures"]

MOST = 5000
"""Pictures of each kind and step."""
ROOM = 2**27
"""Values of the pictures of each kind and step: of 256 x 256 in colour there are fewer, 682."""

_STREAM = 1610_06545  # of the draws here, unlike those of targets
_KEPT = ("index", "source", "target", "step", "picture")


@dataclass(frozen=True)
class RealismSample:
    """Which pairs' counterfactuals are kept, and which real images stand beside them.

    Attributes:
        index: (n,), the pairs' images.
        target: (n,), their q.
        real: (n,), numbers of real images.
        label: (n,), their classes: of each as many as there are pairs to it.
    """

    index: np.ndarray
    target: np.ndarray
    real: np.ndarray
    label: np.ndarray

    def matched(self, target: np.ndarray) -> np.ndarray:
        """Places in ``real`` of as many images of each class as there are in target (m,)."""
        places = [np.flatnonzero(self.label == q)[: (target == q).sum()] for q in np.unique(target)]
        return np.concatenate(places) if places else np.empty(0, np.int64)


def choose_realism_sample(
    pairs: Pairs,
    labels: np.ndarray,
    num_classes: int,
    image_shape: Sequence[int],
    seed: int = 0,
) -> RealismSample:
    """Pairs and real images by chance, of each class q as many images as pairs to it.

    Fewer of both where there are fewer of one, at most :data:`MOST` of each and no more values
    than :data:`ROOM`.

    Args:
        pairs: of which counterfactuals are made.
        labels: (N,), of all images of the split.
        num_classes: K.
        image_shape: (C, H, W).
        seed: of the chance, the same under any number of processes.
    """
    generator = np.random.default_rng([seed, _STREAM])
    own = labels[pairs.index] == pairs.target  # most are their target already
    asked = np.lexsort((generator.random(len(pairs)), own))
    order = generator.permutation(len(labels))
    of_class = [
        (asked[pairs.target[asked] == q], order[labels[order] == q]) for q in range(num_classes)
    ]
    counts = np.array([min(map(len, both)) for both in of_class])
    most = min(MOST, ROOM // math.prod(image_shape))
    if counts.sum() > most:
        counts = counts * most // counts.sum()
    chosen, real = (
        np.concatenate([both[k][:n] for both, n in zip(of_class, counts, strict=True)])
        for k in (0, 1)
    )
    return RealismSample(pairs.index[chosen], pairs.target[chosen], real, labels[real])


def realism_pictures(rows: Rows, sample: RealismSample) -> Rows:
    """The columns that :func:`realism` needs, of the rows that exist and are in the sample.

    Args:
        rows: with a column ``picture`` (B, C, H, W) uint8.
        sample: of the pairs.
    """
    pairs = set(zip(sample.index.tolist(), sample.target.tolist(), strict=True))
    asked = zip(rows["index"].tolist(), rows["target"].tolist(), strict=True)
    chosen = np.array([pair in pairs for pair in asked], dtype=bool)
    kept = chosen & existing(rows) & is_finite(rows["l1"])
    return {name: rows[name][kept] for name in _KEPT}


def realism(
    pictures: Rows,
    sample: RealismSample,
    real: Tensor,
    alpha: str,
    target: int | None = None,
    **settings: Any,
) -> list[Estimate]:
    """How well a network tells counterfactuals of an alpha from real images of their classes.

    Args:
        pictures: of all alphas, from :func:`realism_pictures`.
        sample: of the pairs.
        real: its real images, (n, C, H, W).
        alpha: its name.
        target: only counterfactuals to this class, and real images of it; None for all.
        **settings: of `metrics.told_apart`.

    Returns:
        Accuracy and AUC; none of fewer than :data:`metrics.two_sample.FEWEST` counterfactuals.
    """
    chosen = pictures["step"] == alpha
    if target is not None:
        chosen &= pictures["target"] == target
    places = sample.matched(pictures["target"][chosen])
    if len(places) < FEWEST:
        return []
    index = torch.from_numpy(sample.real[places]), torch.from_numpy(pictures["index"][chosen])
    found = told_apart(
        real[torch.from_numpy(places)],
        torch.from_numpy(pictures["picture"][chosen]),
        partial(ConvNetwork, real.shape[1:], 2),
        groups=index,
        **settings,
    )
    return [
        Estimate(alpha, "told_apart", found.accuracy, *found.accuracy_interval, len(places)),
        Estimate(alpha, "told_apart_auc", found.auc, *found.auc_interval, len(places)),
    ]
