"""What an explainer is made of, out of a checkpoint."""

from __future__ import annotations

from typing import Any

import torch

from lightning_ecinn.ecinn.checks import check_dtype, moved
from lightning_ecinn.ecinn.settings import stored_path
from lightning_ecinn.models.checkpoints import Checkpoint
from lightning_ecinn.models.classifier import GenerativeClassifier

__all__ = ["loaded"]


def loaded(
    checkpoint: Checkpoint, device: str | torch.device, dtype: torch.dtype
) -> tuple[GenerativeClassifier, dict[str, Any]]:
    """The classifier of a checkpoint where it is to compute, and what `Explainer` is to know of it.

    Raises:
        ValueError: for a device or a precision that can't be computed on or in, and settings that
            are none.
    """
    check_dtype(dtype)
    classifier: Any = checkpoint.model()
    stored = {"crop": checkpoint.crop, **stored_path(checkpoint.settings, checkpoint.path)}
    return moved(classifier, device, dtype), stored
