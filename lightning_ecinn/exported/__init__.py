"""Trained models as files that run without this package: torch.export and ONNX."""

from lightning_ecinn.exported.described import ExportedFile
from lightning_ecinn.exported.export import (
    Format,
    check_format,
    export,
    read_model,
    write_model,
)

__all__ = ["ExportedFile", "Format", "check_format", "export", "read_model", "write_model"]
