"""Targets of images, one or several each, and counterfactuals of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from lightning_ecinn.ecinn.counterfactuals import Counterfactual

__all__ = ["checked_targets", "in_columns", "of_one_target"]


def checked_targets(target: Tensor, count: int, alphas: Sequence[Any], undefined: str) -> Tensor:
    """Targets for so many images: one, (B,) or (B, T); and what else is asked with them.

    Raises:
        ValueError: targets of another shape, no list of steps, no way to treat undefined ones.
    """
    if not isinstance(alphas, list | tuple) or not alphas:
        raise ValueError(f"alphas must be a list of at least one step, got {alphas!r}.")
    if target.ndim > 2 or (target.ndim and len(target) != count) or not target.numel():
        raise ValueError(
            f"target must be one class, ({count},) or ({count}, T) for {count} images, got shape "
            f"{tuple(target.shape)}."
        )
    if undefined not in ("raise", "keep"):
        raise ValueError(f'undefined must be "raise" or "keep", got {undefined!r}.')
    return target


def in_columns(target: Tensor, count: int) -> Tensor:
    """Checked targets as (B, T)."""
    return target if target.ndim == 2 else target.expand(count).unsqueeze(1)


def of_one_target(cf: Counterfactual) -> Counterfactual:
    """Counterfactuals (B, 1, ...) as (B, ...)."""
    tensors: dict[str, Any] = {
        name: value.squeeze(1) for name, value in vars(cf).items() if isinstance(value, Tensor)
    }
    return replace(cf, **tensors)
