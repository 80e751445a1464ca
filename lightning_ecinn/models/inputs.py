"""What comes from outside: pictures and classes, checked, and pictures as floats."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["as_float", "check_images", "check_pixels", "checked_classes", "checked_images"]


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


def check_images(images: Tensor, image_shape: Sequence[int] | None = None) -> None:
    """Refuse what is no batch of pictures.

    Args:
        images: should be (B, C, H, W), uint8 or float in [0, 1], B at least 1.
        image_shape: the (C, H, W) they must have, if it is known.

    Raises:
        ValueError: one sentence about the first thing that is wrong.
    """
    if not isinstance(images, Tensor):
        raise ValueError(
            f"Images must be a torch.Tensor (B, C, H, W), got {type(images).__name__}: "
            "use torch.as_tensor."
        )
    if images.ndim != 4 or (image_shape and tuple(images.shape[1:]) != tuple(image_shape)):
        shape = ", ".join(map(str, image_shape or "CHW"))
        raise ValueError(f"Images must be (B, {shape}), got {tuple(images.shape)}.")
    if images.numel() == 0:
        raise ValueError("Images must hold at least one image, got an empty batch.")
    check_pixels(images, "Images")


def check_pixels(images: Tensor, name: str) -> None:
    """Raise a ValueError unless the pixels are uint8, or float in [0, 1] without NaN."""
    if images.dtype == torch.uint8:
        return
    if not images.is_floating_point():
        raise ValueError(f"{name} must be uint8 in 0..255 or float in [0, 1], got {images.dtype}.")
    # Negated, so that NaN fails too.
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"{name} must lie in [0, 1] without NaN, got values from "
            f"{images.min().item():g} to {images.max().item():g}: divide by 255, or pass uint8."
        )


def checked_classes(
    classes: int | Sequence[int] | Tensor, name: str, num_classes: int, device: torch.device
) -> Tensor:
    """Classes of any shape as int64 on the device.

    Raises:
        ValueError: they are no whole numbers, or not from 0 to K - 1.
    """
    classes = torch.as_tensor(classes, device=device)
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise ValueError(f"{name} must be whole numbers, got {classes.dtype}.")
    if classes.numel() and not (classes.min() >= 0 and classes.max() < num_classes):
        raise ValueError(
            f"{name} must be a class from 0 to {num_classes - 1}, got {classes.min().item()} to "
            f"{classes.max().item()}."
        )
    return classes.long()
