"""Tensors to matplotlib figures. Nothing here saves or logs."""

from lightning_ecinn.figures.evaluation import (
    alpha_histograms,
    class_matrix,
    faithfulness_curves,
    plausibility_examples,
    posterior_paths,
)
from lightning_ecinn.figures.grid import magnified, picture_grid
from lightning_ecinn.figures.heatmaps import HeatmapRow, heatmap_table
from lightning_ecinn.figures.matrices import correlation_matrices
from lightning_ecinn.figures.text import posterior_percent

__all__ = [
    "HeatmapRow",
    "alpha_histograms",
    "class_matrix",
    "correlation_matrices",
    "faithfulness_curves",
    "heatmap_table",
    "magnified",
    "picture_grid",
    "plausibility_examples",
    "posterior_paths",
    "posterior_percent",
]
