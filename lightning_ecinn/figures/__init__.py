"""Results for people: tensors to matplotlib figures, rows to tables of text.

Nothing here saves or logs. Every figure is on an Agg canvas: no display is needed.
"""

from lightning_ecinn.figures.canvas import drawn, pixels_png
from lightning_ecinn.figures.curves import alpha_histograms, faithfulness_curves, posterior_paths
from lightning_ecinn.figures.examples import plausibility_examples
from lightning_ecinn.figures.grid import magnified, picture_grid
from lightning_ecinn.figures.heatmaps import HeatmapRow, heatmap_table
from lightning_ecinn.figures.latent_atlas import cosine_matrix, direction_atlas
from lightning_ecinn.figures.latent_view import LatentMap, LatentPath, latent_map
from lightning_ecinn.figures.matrices import class_matrix, correlation_matrices
from lightning_ecinn.figures.panel import PanelPrinter, PanelRow, counterfactual_panel
from lightning_ecinn.figures.pixels import heatmap_pixels, picture_pixels
from lightning_ecinn.figures.squares import picture_squares
from lightning_ecinn.figures.tables import as_csv, as_json, as_markdown, text_table
from lightning_ecinn.figures.text import posterior_percent

__all__ = [
    "HeatmapRow",
    "LatentMap",
    "LatentPath",
    "PanelPrinter",
    "PanelRow",
    "alpha_histograms",
    "as_csv",
    "as_json",
    "as_markdown",
    "class_matrix",
    "correlation_matrices",
    "cosine_matrix",
    "counterfactual_panel",
    "direction_atlas",
    "drawn",
    "faithfulness_curves",
    "heatmap_pixels",
    "heatmap_table",
    "latent_map",
    "magnified",
    "picture_grid",
    "picture_pixels",
    "picture_squares",
    "pixels_png",
    "plausibility_examples",
    "posterior_paths",
    "posterior_percent",
    "text_table",
]
