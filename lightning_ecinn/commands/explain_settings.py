"""What is asked of `explain`: known before anything that takes seconds is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_ecinn.ecinn.steps import Alpha

__all__ = ["ALL", "RUNNER_UP", "ExplainSettings"]

RUNNER_UP, ALL = "runner-up", "all"
"""Targets that are no classes: the second likeliest of each picture, and every other one."""


@dataclass(frozen=True, kw_only=True)
class ExplainSettings:
    """What `explain` explains, and how.

    Args:
        ckpt_path: a checkpoint, or "pretrained:mnist" and the like.
        pictures: files and folders.
        target: classes by name or number, or `RUNNER_UP`, or `ALL`.
        alphas: the steps.
        out: the folder of what is written.
        page: write ``index.html``, too, of the first pictures.
        invert: explain the negatives of the pictures.
        crop: cut to the central square, or squeeze; by default as the model's data set did.
        dtype: "float32" or "float64".
        device: where to compute.
        path: fields of `PathSettings` that are to differ from the checkpoint's.
        images: files and folders of pictures that a classifier's class means are over.
        asked: fields of `AskedOptions`: the classifier that is explained, if not the flow's own.
    """

    ckpt_path: str
    pictures: Sequence[str]
    target: Sequence[str]
    alphas: Sequence[Alpha]
    out: Path
    page: bool
    invert: bool
    crop: bool | None
    dtype: str
    device: str
    path: dict[str, Any]
    images: Sequence[str] = ()
    asked: dict[str, Any] = field(default_factory=dict)
