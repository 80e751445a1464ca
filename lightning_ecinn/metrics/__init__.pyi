# What is measured; imported on first use, since explaining needs little of it.
from .bootstrap import bootstrap_interval as bootstrap_interval
from .classification import (
    flip as flip,
    label_variation as label_variation,
    log_odds as log_odds,
    tipping_gap as tipping_gap,
    validity as validity,
)
from .faithfulness import (
    area as area,
    deletion_curve as deletion_curve,
    insertion_curve as insertion_curve,
)
from .interpretability import im1 as im1, im2 as im2
from .localisation import (
    heatmap_correlation as heatmap_correlation,
    heatmap_mass as heatmap_mass,
    heatmap_noise as heatmap_noise,
    heatmap_pointing as heatmap_pointing,
    heatmap_rank as heatmap_rank,
)
from .mean import MeanMeasure as MeanMeasure
from .morphology import (
    ink as ink,
    shape_height as shape_height,
    shape_width as shape_width,
    slant as slant,
    stroke_thickness as stroke_thickness,
)
from .plausibility import fid as fid, is_plausible as is_plausible
from .proximity import en as en, l1 as l1, l2 as l2, sparsity as sparsity
from .ranks import (
    comparable as comparable,
    rank_correlation as rank_correlation,
    rank_correlation_interval as rank_correlation_interval,
)
from .roc import roc_auc as roc_auc
from .two_sample import ToldApart as ToldApart, told_apart as told_apart
