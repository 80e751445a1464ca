"""Heatmaps of flows and of ordinary networks: ECINNh and Captum's methods behind one signature."""

from lightning_ecinn.attribution.asked import why_not
from lightning_ecinn.attribution.heatmaps import COMPLETENESS_LIMIT, Heatmap, attribute
from lightning_ecinn.attribution.methods import LABELS, METHODS, OPTIONS
from lightning_ecinn.attribution.scores import pair_score, posterior

__all__ = [
    "COMPLETENESS_LIMIT",
    "LABELS",
    "METHODS",
    "OPTIONS",
    "Heatmap",
    "attribute",
    "pair_score",
    "posterior",
    "why_not",
]
