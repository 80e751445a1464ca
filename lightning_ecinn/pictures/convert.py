"""Paths, Pillow's pictures, arrays and tensors as one batch of images of a model's shape."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lightning_ecinn.pictures.decode import decode, squared
from lightning_ecinn.pictures.limits import check_bytes

__all__ = ["Pictures", "as_images", "read_picture"]

Picture: TypeAlias = "str | PathLike[str] | Image.Image | np.ndarray | Tensor"
Pictures: TypeAlias = "Picture | Sequence[Picture]"
"""A picture, a batch of them, or a list; what each may be says `as_images`."""

_CHANNELS = (1, 3, 4)
"""Of arrays whose last axis is that of the colours: grey, RGB, RGB with transparency."""


def as_images(pictures: Any, image_shape: Sequence[int], crop: bool = True) -> Tensor:
    """Pictures of any kind as images (B, C, H, W).

    What already has the model's shape stays as it is, floats in their precision. Everything else
    is converted as data sets of files are (`decode`): turned as EXIF says, transparent parts
    white, 16 bits scaled, grey or RGB, squared and resized.

    Args:
        pictures: a path; a picture of Pillow's; an array (H, W), (H, W, C), (B, H, W) or
            (B, H, W, C) of uint8, uint16 or floats in [0, 1]; a tensor or array (C, H, W) or
            (B, C, H, W) of the model's shape; or a list of those.
        image_shape: the model's (C, H, W).
        crop: cut the central square out; otherwise squeeze the whole picture into one.

    Returns:
        uint8, or floats where such were given; what is no picture of the shape comes back as it
        is, for whoever checks images to refuse.

    Raises:
        ValueError: what is no picture; says which one.

    Example:
        >>> as_images(np.zeros((40, 30, 3), np.uint8), (1, 28, 28)).shape
        torch.Size([1, 1, 28, 28])
        >>> as_images([Image.new("L", (9, 9)), torch.zeros(1, 28, 28)], (1, 28, 28)).dtype
        torch.float32
    """
    shape = tuple(image_shape)
    if isinstance(pictures, Tensor):
        return pictures.unsqueeze(0) if tuple(pictures.shape) == shape else pictures
    if isinstance(pictures, str | PathLike):
        return torch.from_numpy(read_picture(pictures, shape, crop)).unsqueeze(0)
    if isinstance(pictures, Image.Image):
        return torch.from_numpy(squared(pictures, shape[1], shape[0], crop).copy()).unsqueeze(0)
    if isinstance(pictures, np.ndarray):
        return _of_array(pictures, shape, crop)
    if isinstance(pictures, list | tuple) and pictures:
        return _together([_numbered(i, one, shape, crop) for i, one in enumerate(pictures)])
    return pictures


def read_picture(path: str | PathLike[str], shape: Sequence[int], crop: bool = True) -> np.ndarray:
    """One picture file as (C, H, W) uint8.

    Raises:
        ValueError: there is none, or it is no picture; one sentence, with its path.
    """
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            raise ValueError("it is a folder: read_images reads folders")
        check_bytes(place.stat().st_size)
        return decode(place.read_bytes(), shape[1], shape[0], crop).copy()
    except Exception as error:  # a damaged file can break Pillow in any way
        why = "there is no such file" if isinstance(error, FileNotFoundError) else _short(error)
        raise ValueError(f"The picture {place} cannot be read: {why}.") from None


def _short(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (" ".join(said.split()) or type(error).__name__)[:200].rstrip(".")


def _numbered(index: int, picture: Any, shape: tuple[int, ...], crop: bool) -> Tensor:
    """One of a list, (1, C, H, W); an error says which."""
    images = as_images(picture, shape, crop)
    if not isinstance(images, Tensor) or tuple(images.shape[1:]) != shape:
        kind = f"of shape {tuple(picture.shape)}" if isinstance(picture, Tensor) else "of this type"
        raise ValueError(
            f"Picture {index} of the list, {type(picture).__name__}, is none {kind}: give paths, "
            f"Pillow's pictures, arrays (H, W) or (H, W, C), or tensors {shape}."
        )
    return images


def _together(images: list[Tensor]) -> Tensor:
    """One batch; uint8 becomes floats where others are."""
    floats = [one.dtype for one in images if one.is_floating_point()]
    if floats and len(floats) < len(images):
        images = [one if one.is_floating_point() else one.to(floats[0]) / 255 for one in images]
    return torch.cat(images)


def _of_array(array: np.ndarray, shape: tuple[int, ...], crop: bool) -> Tensor:
    """Images of one array, a picture or a batch of them."""
    _check_numbers(array)
    if array.shape == shape or array.shape[1:] == shape:
        images = torch.from_numpy(np.ascontiguousarray(array))
        return images.unsqueeze(0) if images.ndim == 3 else images
    has_colours = array.ndim > 2 and array.shape[-1] in _CHANNELS
    many = array[None] if array.ndim == (3 if has_colours else 2) else array
    if many.ndim != (4 if has_colours else 3) or not many.size:
        raise ValueError(
            f"An array of shape {array.shape} is no picture and no batch: give (H, W), (H, W, C), "
            f"(B, H, W), (B, H, W, C), or {shape} with or without a batch before it."
        )
    fits = many.shape[1:3] == shape[1:] and (many.shape[3] if has_colours else 1) == shape[0]
    if fits and array.dtype != np.uint16:
        channels_first = many.transpose(0, 3, 1, 2) if has_colours else many[:, None]
        return torch.from_numpy(np.ascontiguousarray(channels_first))
    return torch.from_numpy(np.stack([_squared(one, shape, crop) for one in many]))


def _squared(picture: np.ndarray, shape: tuple[int, ...], crop: bool) -> np.ndarray:
    """One picture (H, W) or (H, W, C) by way of Pillow's."""
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    if picture.dtype.kind == "f":
        picture = (picture.astype(np.float64) * 255).round().astype(np.uint8)
    if picture.dtype == np.uint16 and picture.ndim == 3:  # Pillow has such greys alone
        picture = ((picture.astype(np.int64) + 128) // 257).astype(np.uint8)
    return squared(Image.fromarray(np.ascontiguousarray(picture)), shape[1], shape[0], crop)


def _check_numbers(array: np.ndarray) -> None:
    """Raise a ValueError unless an array has grey levels of a known range."""
    if array.dtype in (np.uint8, np.uint16):
        return
    if array.dtype.kind != "f":
        raise ValueError(
            f"An array of {array.dtype} has grey levels of no known range: give uint8 in 0..255, "
            "uint16 in 0..65535, or floats in [0, 1]."
        )
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            "An array of floats must lie in [0, 1] without NaN, got values from "
            f"{array.min():g} to {array.max():g}: divide by 255, or pass uint8."
        )
