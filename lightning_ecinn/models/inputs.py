"""What comes from outside: pictures and classes, checked, and pictures as floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Classes",
    "as_float",
    "as_numbers",
    "check_images",
    "check_pixels",
    "check_shape",
    "checked_classes",
    "checked_images",
    "shown",
]

Classes = int | str | Sequence[Any] | Tensor
"""Classes by their numbers or names: one, a list, or a tensor of numbers."""

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_LONG = 60


def as_float(images: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Pictures in [0, 1] of uint8 grey levels; float pictures are in [0, 1] already.

    Args:
        images: of any shape, uint8 or float.
        dtype: by default that of float pictures, and torch's default for uint8.

    Returns:
        The pictures, not a copy of those that already are what is asked for.
    """
    if images.dtype == torch.uint8:
        return images.to(dtype or torch.get_default_dtype()) / 255
    return images if dtype is None else images.to(dtype)


def checked_images(images: Tensor, image_shape: Sequence[int], like: Tensor) -> Tensor:
    """Images (B, C, H, W) on the device of ``like``: uint8, or float in its precision.

    Args:
        images: uint8 or float in [0, 1], B at least 1.
        image_shape: the (C, H, W) they must have.
        like: a tensor of the model.

    Raises:
        ValueError: they are not such images.
    """
    check_images(images, image_shape)
    if images.dtype == torch.uint8:
        return images.to(like.device)
    return images.to(like.device, like.dtype)


def check_images(
    images: Tensor, image_shape: Sequence[int] | None = None, name: str = "Images"
) -> None:
    """Refuse what is no batch of pictures.

    Args:
        images: should be (B, C, H, W), uint8 or float in [0, 1], B at least 1.
        image_shape: the (C, H, W) they must have, if it is known.
        name: what they are called in errors.

    Raises:
        ValueError: one sentence about the first thing that is wrong.
    """
    check_shape(images, image_shape, name)
    if images.numel() == 0:
        raise ValueError(f"{name} must hold at least one image, got an empty batch.")
    if images.is_meta or images.layout != torch.strided:
        kind = "on the meta device" if images.is_meta else images.layout
        raise ValueError(f"{name} must be a dense tensor of numbers, got one {kind}.")
    check_pixels(images, name)


def check_shape(images: Tensor, image_shape: Sequence[int] | None, name: str = "Images") -> None:
    """Raise a ValueError unless images are a tensor (B, C, H, W), of the (C, H, W) if any."""
    if not isinstance(images, Tensor):
        raise ValueError(
            f"{name} must be a torch.Tensor (B, C, H, W), got {type(images).__name__}: "
            "use torch.as_tensor."
        )
    if images.ndim != 4 or (image_shape and tuple(images.shape[1:]) != tuple(image_shape)):
        shape = ", ".join(map(str, image_shape or "CHW"))
        raise ValueError(f"{name} must be (B, {shape}), got {tuple(images.shape)}.")


def check_pixels(images: Tensor, name: str) -> None:
    """Raise a ValueError unless the pixels are uint8, or float in [0, 1] without NaN."""
    if images.dtype == torch.uint8:
        return
    if images.dtype not in _FLOATS:
        raise ValueError(f"{name} must be uint8 in 0..255 or float in [0, 1], got {images.dtype}.")
    # Negated, so that NaN fails too.
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"{name} must lie in [0, 1] without NaN, got values from "
            f"{images.min().item():g} to {images.max().item():g}: divide by 255, or pass uint8."
        )


def checked_classes(
    classes: Classes,
    name: str,
    num_classes: int,
    device: torch.device,
    class_names: Sequence[str] | None = None,
) -> Tensor:
    """Classes of any shape as int64 on the device, never the caller's own tensor.

    Args:
        classes: whole numbers, or names, one or several.
        name: what they are called in errors.
        num_classes: K.
        device: where to.
        class_names: what the classes are called, if that is known.

    Raises:
        ValueError: they are neither whole numbers from 0 to K - 1 nor such names.
    """
    numbers = as_numbers(_by_name(classes, name, num_classes, class_names))
    if numbers is None:
        raise ValueError(
            f"{name} must be whole numbers, one or a tensor of them, got {shown(classes)}."
        )
    whole = not (numbers.is_floating_point() or numbers.is_complex())
    if numbers.numel() and (not whole or numbers.dtype == torch.bool):  # empty lists have no type
        raise ValueError(f"{name} must be whole numbers, got {numbers.dtype}.")
    numbers = numbers.to(device, torch.long, copy=True)
    least, most = (v.item() for v in numbers.aminmax()) if numbers.numel() else (0, 0)
    if not 0 <= least <= most < num_classes:
        raise ValueError(
            f"{name} must be a class from 0 to {num_classes - 1}, got {least} to {most}."
        )
    return numbers


def as_numbers(value: Any) -> Tensor | None:
    """A tensor of what may be one: numbers, lists, arrays; None if it is none."""
    if isinstance(value, Tensor):
        return None if value.is_meta or value.layout != torch.strided else value
    try:
        return torch.from_numpy(np.array(value, order="C"))
    except (TypeError, ValueError, RuntimeError):  # ragged, no numbers, of another machine
        return None


def _by_name(classes: Any, name: str, num_classes: int, class_names: Sequence[str] | None) -> Any:
    """The classes with a number for each name, at any depth of lists."""
    if isinstance(classes, list | tuple):
        return [_by_name(one, name, num_classes, class_names) for one in classes]
    if not isinstance(classes, str):
        return classes
    if class_names is None or classes not in class_names:
        known = f": {', '.join(class_names)}" if class_names is not None else ""
        raise ValueError(
            f"{name} must be a class from 0 to {num_classes - 1} or its name{known}; got "
            f"{shown(classes)}."
        )
    return list(class_names).index(classes)


def shown(value: object) -> str:
    """How a value of the caller's looks, in one line of a sentence."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONG else f"{text[:_LONG]}... ({type(value).__name__})"
