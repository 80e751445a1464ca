"""Tensors to matplotlib figures. Nothing here saves or logs."""

from lightning_ecinn.figures.grid import magnified, picture_grid
from lightning_ecinn.figures.heatmaps import HeatmapRow, heatmap_table
from lightning_ecinn.figures.matrices import correlation_matrices
from lightning_ecinn.figures.text import posterior_percent

__all__ = [
    "HeatmapRow",
    "correlation_matrices",
    "heatmap_table",
    "magnified",
    "picture_grid",
    "posterior_percent",
]
