"""Measures of counterfactuals over many images: rows, averages, tables. No trainer here."""

from lightning_ecinn.ecinn.alphas import alpha_name, check_alphas
from lightning_ecinn.evaluation.audit import FactorUse, PairChange, factor_use, mean_changes
from lightning_ecinn.evaluation.curves import (
    FAITHFUL_METHODS,
    direction_cosines,
    faithfulness,
    posteriors_along_path,
)
from lightning_ecinn.evaluation.directions import Direction, by_direction
from lightning_ecinn.evaluation.examples import examples, most_and_least
from lightning_ecinn.evaluation.files import read_images
from lightning_ecinn.evaluation.properties import PROPERTIES, properties_of
from lightning_ecinn.evaluation.realism import (
    RealismSample,
    choose_realism_sample,
    realism,
    realism_pictures,
)
from lightning_ecinn.evaluation.rows import (
    Judges,
    Rows,
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
    measures_of,
    pair_means,
    reference_quantile,
    with_plausibility,
)
from lightning_ecinn.evaluation.survival import (
    Correlation,
    Survival,
    pair_survival,
    survival_estimates,
    survival_tables,
    survival_values,
    surviving,
)
from lightning_ecinn.evaluation.tables import comparison_table
from lightning_ecinn.evaluation.targets import Pairs, choose_targets

__all__ = [
    "FAITHFUL_METHODS",
    "MEASURES",
    "PROPERTIES",
    "Correlation",
    "Counts",
    "Direction",
    "Estimate",
    "FactorUse",
    "Judges",
    "PairChange",
    "Pairs",
    "RealismSample",
    "Rows",
    "Survival",
    "alpha_name",
    "by_direction",
    "check_alphas",
    "choose_realism_sample",
    "choose_targets",
    "comparison_table",
    "counted",
    "direction_cosines",
    "estimates",
    "examples",
    "existing",
    "factor_use",
    "faithfulness",
    "is_finite",
    "joined",
    "mean_changes",
    "measured",
    "measures_of",
    "most_and_least",
    "pair_means",
    "pair_survival",
    "posteriors_along_path",
    "properties_of",
    "read_images",
    "realism",
    "realism_pictures",
    "reference_quantile",
    "survival_estimates",
    "survival_tables",
    "survival_values",
    "surviving",
    "with_plausibility",
]
