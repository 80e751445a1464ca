"""The subcommand `export`: a checkpoint as files that run without this package."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from lightning_ecinn.blackbox.file import own_is_exported, stored_in
from lightning_ecinn.exported import ExportedFile, Format, read_model, write_model
from lightning_ecinn.figures.tables import text_table
from lightning_ecinn.models.checkpoints import Checkpoint
from lightning_ecinn.plain_text import plain
from lightning_ecinn.runs import CONFIG
from lightning_ecinn.whole_files import write_whole

__all__ = ["ExportSettings", "export_model"]

_NOTICEABLE = 1e-4
"""Differences from the model above it are said."""


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
    format: Format
    dtype: str
    truncation: float | None


def export_model(checkpoint: Checkpoint, settings: ExportSettings) -> None:
    """Write a model's files, and print by how much they differ from it.

    Raises:
        ValueError: the model can't be exported: it has no class means.
        WriteError: a file can't be written.
    """
    model = read_model(checkpoint, getattr(torch, settings.dtype), settings.truncation)
    if stored_in(checkpoint) is not None:
        print(f"note: {plain(own_is_exported(settings.ckpt_path))}", file=sys.stderr)
    files = write_model(model, settings.out, settings.format, settings.ckpt_path)
    with write_whole(settings.out / CONFIG) as file:
        given = {**vars(settings), "out": str(settings.out)}
        file.write(yaml.safe_dump({"export": given}, sort_keys=False).encode())
    print(text_table(_rows(files)), flush=True)
    _say_differences(files, settings)


def _rows(files: Sequence[ExportedFile]) -> list[list[str]]:
    heading = ["file", "MB", "greatest difference from the model"]
    return [
        heading,
        *(
            [file.path.name, f"{file.path.stat().st_size / 1e6:.2f}", f"{file.difference:.1g}"]
            for file in files
        ),
    ]


def _say_differences(files: Sequence[ExportedFile], settings: ExportSettings) -> None:
    """What differs noticeably, and why that is."""
    names = [file.path.name for file in files if not file.difference <= _NOTICEABLE]
    if not names:
        return
    verb = "differs" if len(names) == 1 else "differ"
    remedy = "train longer"
    if settings.dtype == "float32":
        remedy += ", or export with --dtype float64"
    print(
        f"warning: {', '.join(names)} {verb} from the model by more than {_NOTICEABLE:g}: a flow "
        f"that is hardly trained magnifies rounding; {remedy}.",
        file=sys.stderr,
    )
