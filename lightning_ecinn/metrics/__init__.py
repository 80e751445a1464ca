"""Measures of counterfactuals and heatmaps: pure functions.

`MeanMeasure` makes a torchmetric of any that gives a value per counterfactual, for a `test_step`
of one's own.
"""

from lightning_ecinn.metrics.bootstrap import bootstrap_interval
from lightning_ecinn.metrics.classification import (
    flip,
    label_variation,
    log_odds,
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
from lightning_ecinn.metrics.mean import MeanMeasure
from lightning_ecinn.metrics.plausibility import fid, is_plausible
from lightning_ecinn.metrics.proximity import en, l1, l2, sparsity

__all__ = [
    "MeanMeasure",
    "area",
    "bootstrap_interval",
    "deletion_curve",
    "en",
    "fid",
    "flip",
    "heatmap_correlation",
    "heatmap_mass",
    "heatmap_pointing",
    "heatmap_rank",
    "im1",
    "im2",
    "insertion_curve",
    "is_plausible",
    "l1",
    "l2",
    "label_variation",
    "log_odds",
    "sparsity",
    "tipping_gap",
    "validity",
]
