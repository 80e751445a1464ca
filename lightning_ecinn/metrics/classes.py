"""The measures as torchmetrics: means over all updates, on any number of processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from lightning_ecinn.metrics.classification import (
    flip,
    label_variation,
    oracle_agreement,
    tipping_gap,
    validity,
)
from lightning_ecinn.metrics.faithfulness import area, deletion_curve, insertion_curve
from lightning_ecinn.metrics.interpretability import im1, im2
from lightning_ecinn.metrics.localisation import (
    heatmap_correlation,
    heatmap_mass,
    heatmap_pointing,
    heatmap_rank,
)
from lightning_ecinn.metrics.plausibility import is_plausible
from lightning_ecinn.metrics.proximity import en, l1, l2, sparsity

__all__ = [
    "EN",
    "IM1",
    "IM2",
    "L1",
    "L2",
    "Cost",
    "DeletionArea",
    "FlipRate",
    "HeatmapCorrelation",
    "HeatmapMass",
    "HeatmapPointing",
    "HeatmapRank",
    "InsertionArea",
    "LabelVariationScore",
    "MeanMeasure",
    "OracleAgreement",
    "Plausibility",
    "Sparsity",
    "TippingGap",
    "Validity",
]


class MeanMeasure(Metric):
    """Mean of :attr:`measure` over all counterfactuals, in double precision."""

    full_state_update = False
    measure: ClassVar[Callable[..., Tensor]]
    """Gives a value per counterfactual, (B,)."""
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        zero = torch.zeros((), dtype=torch.float64)
        self.add_state("total", zero, dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add counterfactuals: takes what the function in :attr:`measure` takes."""
        values = self.measure(*args, **kwargs)
        self.total += values.double().sum()
        self.count += len(values)

    def compute(self) -> Tensor:
        """The mean, a float64 scalar.

        Raises:
            ValueError: if there is no counterfactual.
        """
        _check_any(self, int(self.count))
        return self.total / self.count


class Validity(MeanMeasure):
    """Share of counterfactuals that are classified as the target."""

    measure, higher_is_better = staticmethod(validity), True


class FlipRate(MeanMeasure):
    """Share of counterfactuals that are not classified as their input."""

    measure, higher_is_better = staticmethod(flip), True


class TippingGap(MeanMeasure):
    """Mean distance from a tie of source and target, nats."""

    measure, higher_is_better = staticmethod(tipping_gap), False


class L1(MeanMeasure):
    """Mean L1 distance to the input."""

    measure, higher_is_better = staticmethod(l1), False


class L2(MeanMeasure):
    """Mean L2 distance to the input."""

    measure, higher_is_better = staticmethod(l2), False


class EN(MeanMeasure):
    """Mean elastic net distance to the input."""

    measure, higher_is_better = staticmethod(en), False


class Sparsity(MeanMeasure):
    """Mean share of pixels that moved."""

    measure, higher_is_better = staticmethod(sparsity), False


class IM1(MeanMeasure):
    """Mean IM1."""

    measure, higher_is_better = staticmethod(im1), False


class IM2(MeanMeasure):
    """Mean IM2."""

    measure, higher_is_better = staticmethod(im2), False


class OracleAgreement(MeanMeasure):
    """Share of counterfactuals in which an oracle sees the target."""

    measure, higher_is_better = staticmethod(oracle_agreement), True


class LabelVariationScore(MeanMeasure):
    """Mean divergence of an oracle's posteriors on inputs and counterfactuals, nats."""

    measure = staticmethod(label_variation)


class Plausibility(MeanMeasure):
    """Share of counterfactuals above a low quantile of real images' log p."""

    measure, higher_is_better = staticmethod(is_plausible), True


class HeatmapMass(MeanMeasure):
    """Mean share of the heatmap inside a mask."""

    measure, higher_is_better = staticmethod(heatmap_mass), True


class HeatmapPointing(MeanMeasure):
    """Share of heatmaps whose largest value is inside a mask."""

    measure, higher_is_better = staticmethod(heatmap_pointing), True


class HeatmapRank(MeanMeasure):
    """Mean share of the largest values inside a mask."""

    measure, higher_is_better = staticmethod(heatmap_rank), True


class HeatmapCorrelation(MeanMeasure):
    """Mean correlation of two heatmaps of one image."""

    measure = staticmethod(heatmap_correlation)


class DeletionArea(MeanMeasure):
    """Mean area under :func:`deletion_curve`, whose arguments it takes."""

    measure = staticmethod(lambda *args, **kwargs: area(deletion_curve(*args, **kwargs)))
    higher_is_better = False


class InsertionArea(MeanMeasure):
    """Mean area under :func:`insertion_curve`, whose arguments it takes."""

    measure = staticmethod(lambda *args, **kwargs: area(insertion_curve(*args, **kwargs)))
    higher_is_better = True


class Cost(Metric):
    """What a counterfactual costs: evaluations of the network and its inverse, and seconds."""

    full_state_update = False
    higher_is_better = False
    evaluations: Tensor
    seconds: list[Tensor]

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        zeros = torch.zeros(2, dtype=torch.float64)
        self.add_state("evaluations", zeros, dist_reduce_fx="sum")
        self.add_state("seconds", [], dist_reduce_fx="cat")

    def update(self, forward: Tensor, inverse: Tensor, seconds: Tensor | float) -> None:
        """Add counterfactuals.

        Args:
            forward: evaluations of the network for each, (B,).
            inverse: evaluations of its inverse for each, (B,).
            seconds: what each took, (B,), or one number for all of them: a batch's time divided
                by its size.
        """
        self.evaluations += torch.stack((forward, inverse)).double().sum(1)
        each = torch.as_tensor(seconds, dtype=torch.float64, device=forward.device)
        self.seconds.append(each.expand(len(forward)).clone())

    def compute(self) -> dict[str, Tensor]:
        """Mean ``forward_evaluations`` and ``inverse_evaluations``, median ``seconds``.

        Raises:
            ValueError: if there is no counterfactual.
        """
        seconds = dim_zero_cat(self.seconds) if self.seconds else torch.zeros(0)
        _check_any(self, len(seconds))
        forward, inverse = self.evaluations / len(seconds)
        ordered = seconds.sort().values
        median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        return {"forward_evaluations": forward, "inverse_evaluations": inverse, "seconds": median}


def _check_any(metric: Metric, count: int) -> None:
    if not count:
        raise ValueError(
            f"{type(metric).__name__} has no counterfactual to measure: add some with `update`."
        )
