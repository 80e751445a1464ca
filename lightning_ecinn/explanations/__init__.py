"""What is said, drawn and written of the counterfactuals of single pictures."""

from lightning_ecinn.explanations.panels import as_png, panel
from lightning_ecinn.explanations.rows import Row, result_rows
from lightning_ecinn.explanations.saving import Saved, save, save_pictures, save_tables
from lightning_ecinn.explanations.words import certificate_words, one_line

__all__ = [
    "Row",
    "Saved",
    "as_png",
    "certificate_words",
    "one_line",
    "panel",
    "result_rows",
    "save",
    "save_pictures",
    "save_tables",
]
