"""What an explainer asks of a classifier, of latents, and of what it computes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lightning_ecinn.models.classifier import GenerativeClassifier

__all__ = ["check_dtype", "check_weights", "checked_latents", "finite", "moved"]


def check_dtype(dtype: object) -> None:
    """Refuse what a flow can't be inverted in.

    Raises:
        ValueError: says what it can.
    """
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"An invertible network can't be computed in {dtype}: give torch.float32 or "
            "torch.float64."
        )


def finite(values: Tensor, what: str) -> Tensor:
    """The values, unless one of them is NaN or infinite.

    Raises:
        ValueError: says what they are, and what may help.
    """
    # A finite sum says it all, and is much faster; one that is not may only be large.
    if not math.isfinite(values.sum().item()) and not values.isfinite().all():
        raise ValueError(
            f"The classifier's {what} are not finite in {values.dtype}: they lie too far out, or "
            "its weights have diverged; take inputs or steps that are nearer, or float64."
        )
    return values


def check_weights(classifier: GenerativeClassifier) -> None:
    """Refuse weights that nothing can be computed with.

    Raises:
        ValueError: they are of a type that is too coarse, of several types, on several devices or
            on none, NaN or infinite.
    """
    check_dtype(classifier.class_means.dtype)
    named = [*classifier.named_parameters(), *classifier.named_buffers()]
    weights = {name: w for name, w in named if w.is_floating_point()}
    kinds = {f"{w.dtype} on {w.device}" for w in weights.values()}
    if len(kinds) > 1 or classifier.class_means.is_meta:
        raise ValueError(
            f"The classifier's weights are {' and '.join(sorted(kinds))}: move them together, as "
            'with classifier.to("cpu", torch.float32).'
        )
    broken = next((name for name, w in weights.items() if not w.isfinite().all()), None)
    if broken is not None:
        raise ValueError(
            f"The classifier's weights {broken} are not finite: its training has diverged; take "
            "an earlier checkpoint."
        )


def moved(
    classifier: GenerativeClassifier, device: str | torch.device, dtype: torch.dtype
) -> GenerativeClassifier:
    """The classifier on a device, in a precision.

    Raises:
        ValueError: there is no such device.
    """
    try:
        torch.empty(1, device=device).item()
        return classifier.to(device, dtype)
    except (RuntimeError, AssertionError, TypeError) as error:  # torch's words for it are many
        why = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".")
        raise ValueError(
            f'Nothing can be computed on device {str(device)!r} ({why}): give "cpu", or another '
            "that is there."
        ) from None


def checked_latents(z: Tensor, num_dims: int) -> Tensor:
    """Latents (B, D) as they are.

    Raises:
        ValueError: they are no such tensor, or not finite.
    """
    if not isinstance(z, Tensor) or not z.is_floating_point() or z.layout != torch.strided:
        kind = f"one of {z.dtype}" if isinstance(z, Tensor) else type(z).__name__
        raise ValueError(f"Latents must be a dense float torch.Tensor (B, {num_dims}), got {kind}.")
    if z.ndim != 2 or z.shape[1] != num_dims or not len(z):
        raise ValueError(f"Latents must be (B, {num_dims}), got {tuple(z.shape)}.")
    if z.is_meta or not z.isfinite().all():
        raise ValueError("Latents must be finite numbers, got some that are not.")
    return z
