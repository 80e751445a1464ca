"""Several methods and models asked the same question about the same images (Section 4.3)."""

from lightning_ecinn.comparison.explained import (
    FIGURE_9,
    UNITS,
    Explained,
    check_methods,
    explain_by,
    explained_model,
    explains,
    left_out,
    table_row,
)
from lightning_ecinn.comparison.numbers import (
    HeatmapCorrelations,
    HeatmapNumbers,
    numbers_table,
)
from lightning_ecinn.comparison.settings import Baselines, HeatmapSettings

__all__ = [
    "FIGURE_9",
    "UNITS",
    "Baselines",
    "Explained",
    "HeatmapCorrelations",
    "HeatmapNumbers",
    "HeatmapSettings",
    "check_methods",
    "explain_by",
    "explained_model",
    "explains",
    "left_out",
    "numbers_table",
    "table_row",
]
