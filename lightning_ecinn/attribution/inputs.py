"""What the caller of a method gives, checked: pictures, baselines, classes, options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.flows.settings import is_number, is_whole
from lightning_ecinn.models.inputs import (
    Classes,
    as_float,
    check_images,
    check_pixels,
    checked_classes,
)

__all__ = ["checked_baselines", "checked_option", "class_per_image", "float_images"]


def float_images(images: Tensor, shape: tuple[int, ...] | None, like: Tensor) -> Tensor:
    """Float images in [0, 1], (B, C, H, W), of the type and on the device of ``like``.

    Args:
        images: uint8, or float in [0, 1].
        shape: the (C, H, W) they must have, if it is known.
        like: a tensor of the model.
    """
    check_images(images, shape)
    return _copied(images, like)


def checked_baselines(
    baselines: float | Tensor | None, shape: tuple[int, ...], like: Tensor
) -> Tensor:
    """Baselines (N, C, H, W) like :func:`float_images`; black where there are none.

    Args:
        baselines: None, one grey value in [0, 1], or pictures (C, H, W) or (N, C, H, W).
        shape: (C, H, W) of the images.
        like: a tensor of the model.
    """
    if not isinstance(baselines, Tensor):
        if baselines is not None and not is_number(baselines):
            raise ValueError(
                "baselines must be a number in [0, 1] or a tensor of pictures, got "
                f"{type(baselines).__name__}."
            )
        grey = torch.tensor(0.0 if baselines is None else float(baselines))
        check_pixels(grey, "baselines")
        return _copied(grey, like).expand(1, *shape)
    pictures = baselines.unsqueeze(0) if baselines.ndim == 3 else baselines
    if pictures.ndim != 4 or tuple(pictures.shape[1:]) != shape or len(pictures) == 0:
        raise ValueError(
            f"baselines must be one picture {shape} or several (N, {', '.join(map(str, shape))}) "
            f"like the images, got shape {tuple(baselines.shape)}."
        )
    check_images(pictures, shape, "baselines")
    return _copied(pictures, like)


def class_per_image(
    given: Classes, name: str, logits: Tensor, class_names: Sequence[str] | None
) -> Tensor:
    """Classes (B,), int64, for logits (B, K), from one class or (B,), by numbers or names."""
    batch_size, num_classes = logits.shape
    classes = checked_classes(given, name, num_classes, logits.device, class_names)
    if classes.ndim and classes.shape != (batch_size,):
        raise ValueError(
            f"{name} must be one class or ({batch_size},) for {batch_size} images, got shape "
            f"{tuple(classes.shape)}."
        )
    return classes.expand(batch_size).clone()


def checked_option(name: str, value: Any) -> Any:
    """An option of a method: a whole number from 1, for ``stdev`` any number from 0."""
    if name == "undefined":
        return value  # checked where it is used, by the explainer
    if name == "stdev":
        if not (is_number(value) and math.isfinite(value) and value >= 0):
            raise ValueError(f"stdev must be a number from 0, got {value!r}.")
        return float(value)
    least = -(2**63) if name == "seed" else 1
    if not is_whole(value) or isinstance(value, bool) or not least <= value < 2**63:
        kind = "" if name == "seed" else " from 1"
        raise ValueError(f"{name} must be a whole number{kind}, got {value!r}.")
    return int(value)


def _copied(pictures: Tensor, like: Tensor) -> Tensor:
    """A float copy: tensors of Lightning's inference mode have no gradients."""
    return as_float(pictures.to(like.device, copy=True), like.dtype)
