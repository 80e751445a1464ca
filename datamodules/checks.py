"""Errors for data and settings that cannot work, each in one sentence."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


class DataNotFoundError(FileNotFoundError):
    """A data set is not on disk; the message says where it was looked for and what to do."""


def check_split(split: str, argument: str = "split") -> None:
    """Raise a ValueError unless `split` is the name of a split."""
    if split not in SPLITS:
        raise ValueError(f"{argument} is {split!r}; choose one of {', '.join(map(repr, SPLITS))}.")


def check_at_least(lowest: int, **settings: int) -> None:
    """Raise a ValueError for the first of `settings` that is below `lowest`."""
    for name, value in settings.items():
        if value < lowest:
            raise ValueError(f"{name} is {value}; give {lowest} or more.")


def check_between(lowest: float, highest: float, **settings: float) -> None:
    """Raise a ValueError for the first of `settings` outside [lowest, highest]."""
    for name, value in settings.items():
        if not lowest <= value <= highest:
            raise ValueError(f"{name} is {value}; give a number from {lowest} to {highest}.")


def check_shares(**settings: float) -> None:
    """Raise a ValueError for the first of `settings` outside [0, 1)."""
    for name, value in settings.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is {value}; give a number from 0 to less than 1.")


def check_any(num_images: int) -> None:
    """Raise a ValueError if there are no images."""
    if num_images == 0:
        raise ValueError("There are no images in this split: give it at least one.")


def check_description(image_shape: Sequence[int], class_names: Sequence[str]) -> None:
    """Raise a ValueError unless these are (C, H, W) and two or more different names."""
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ValueError(
            f"image_shape is {tuple(image_shape)}; give (channels, height, width), each 1 or more."
        )
    if isinstance(class_names, str) or len(class_names) < 2:
        raise ValueError(f"class_names is {class_names!r}; give a list of two or more names.")
    if len(set(class_names)) < len(class_names):
        raise ValueError(
            f"class_names has a name twice: {list(class_names)}; give each class its own."
        )


def check_shift(max_shift: int, image_shape: Sequence[int]) -> None:
    """Raise a ValueError if a translation can leave nothing of an image (C, H, W)."""
    height, width = image_shape[1:]
    if max_shift >= min(height, width):
        raise ValueError(
            f"max_shift is {max_shift}, which can push a whole image of {height} x {width} pixels "
            f"out of sight: give less than {min(height, width)}."
        )


def check_arrays(
    images: Tensor, labels: Tensor, image_shape: Sequence[int], num_classes: int, source: str
) -> Tensor:
    """Check what `load` returned.

    Args:
        images: should be (N, C, H, W) uint8.
        labels: should be (N,) whole numbers in 0 .. num_classes - 1.
        image_shape: the announced (C, H, W).
        num_classes: the announced number of classes.
        source: what to call the culprit in the message, such as "MyData.load(train=True)".

    Returns:
        The labels as int64.

    Raises:
        ValueError: one sentence about the first thing that is wrong.
    """
    check_images(images, f"{source} returned")
    labels = whole_labels(labels, f"{source} returned")
    if tuple(images.shape[1:]) != tuple(image_shape):
        raise ValueError(
            f"{source} returned images of shape {tuple(images.shape)}, but image_shape is "
            f"{tuple(image_shape)}: return (N, {', '.join(map(str, image_shape))})."
        )
    if tuple(labels.shape) != (len(images),):
        raise ValueError(
            f"{source} returned {len(images)} images and labels of shape {tuple(labels.shape)}: "
            "return one label per image."
        )
    if len(images) == 0:
        raise ValueError(f"{source} returned no images: return at least one.")
    check_range(labels, num_classes, source)
    return labels


def check_splits(labels: Mapping[str, Tensor], split: str, num_classes: int, source: str) -> None:
    """Raise a ValueError unless what was read holds `split`, with labels of the known classes."""
    if split not in labels:
        raise ValueError(
            f"{source} returned {', '.join(labels) or 'nothing'}: return {split!r} too."
        )
    for some_labels in labels.values():
        if len(some_labels):
            check_range(some_labels, num_classes, source)


def check_images(images: object, source: str) -> None:
    """Raise a ValueError unless these are grey levels of 8 bits."""
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        raise ValueError(
            f"{source} images of type {_type(images)}: give a torch.uint8 tensor (grey levels "
            "0..255)."
        )


def whole_labels(labels: object, source: str) -> Tensor:
    """Return labels of any type of numbers as int64.

    Raises:
        ValueError: these are no numbers, or not all of them are whole.
    """
    if not isinstance(labels, Tensor) or labels.dtype.is_complex:
        raise ValueError(
            f"{source} labels of type {_type(labels)}: give a torch.int64 tensor (class numbers)."
        )
    whole = labels.detach().long()
    if labels.dtype.is_floating_point and not torch.equal(whole.to(labels.dtype), labels):
        wrong = labels[whole.to(labels.dtype) != labels].flatten()
        raise ValueError(
            f"{source} labels that are no whole numbers ({len(wrong):,} of {labels.numel():,}, the "
            f"first is {wrong[0].item():g}): give class numbers 0, 1, 2 and so on."
        )
    return whole


def _type(value: object) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__


def check_range(labels: Tensor, num_classes: int, source: str) -> None:
    """Raise a ValueError unless labels (N,) are in 0 .. num_classes - 1; N is 1 or more."""
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        raise ValueError(
            f"{source} returned labels from {lowest} to {highest}, but there are {num_classes} "
            f"class names: return labels in 0..{num_classes - 1}, or name more classes."
        )
