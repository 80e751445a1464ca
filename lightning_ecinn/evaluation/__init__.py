"""Measures of counterfactuals over many images: rows, averages, tables. No trainer here."""

from lightning_ecinn.evaluation.curves import (
    FAITHFUL_METHODS,
    direction_cosines,
    faithfulness,
    posteriors_along_path,
)
from lightning_ecinn.evaluation.files import read_images
from lightning_ecinn.evaluation.rows import (
    Judges,
    Rows,
    alpha_name,
    check_alphas,
    joined,
    measured,
)
from lightning_ecinn.evaluation.summary import (
    MEASURES,
    Counts,
    Estimate,
    counted,
    estimates,
    existing,
    is_finite,
    pair_means,
    reference_quantile,
    with_plausibility,
)
from lightning_ecinn.evaluation.tables import comparison_table
from lightning_ecinn.evaluation.targets import Pairs, choose_targets

__all__ = [
    "FAITHFUL_METHODS",
    "MEASURES",
    "Counts",
    "Estimate",
    "Judges",
    "Pairs",
    "Rows",
    "alpha_name",
    "check_alphas",
    "choose_targets",
    "comparison_table",
    "counted",
    "direction_cosines",
    "estimates",
    "existing",
    "faithfulness",
    "is_finite",
    "joined",
    "measured",
    "pair_means",
    "posteriors_along_path",
    "read_images",
    "reference_quantile",
    "with_plausibility",
]
