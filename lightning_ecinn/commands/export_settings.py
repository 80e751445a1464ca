"""What is asked of `export`: known before anything that takes seconds is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["ExportSettings"]


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What `export` writes, and of what.

    Args:
        ckpt_path: a checkpoint, or "pretrained:mnist" and the like.
        out: the folder of what is written.
        format: "pt2" for torch.export, "onnx", or "both".
        dtype: "float32" or "float64".
        truncation: psi; None for the checkpoint's.
    """

    ckpt_path: str
    out: Path
    format: Literal["pt2", "onnx", "both"]
    dtype: str
    truncation: float | None
