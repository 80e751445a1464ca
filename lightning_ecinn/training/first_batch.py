"""Batches of anyone's loaders: images and labels, checked where a mistake would train nonsense."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.models.inputs import check_images

__all__ = [
    "asked_targets",
    "check_labels_on_cpu",
    "images_alone",
    "images_and_labels",
    "more_than_one_value",
]


def asked_targets(target: int | str, num_classes: int, images: Tensor) -> Tensor:
    """The classes that `predict` asks for of images (B, ...): one or all of K, (B, T)."""
    classes = range(num_classes) if target == "all" else [target]
    return torch.tensor(list(classes), device=images.device).expand(len(images), -1)


def images_and_labels(batch: Any, batch_idx: int, model: Any) -> tuple[Tensor, Tensor]:
    """The images (B, C, H, W) and the labels (B,) int64 of a batch ``(images, labels, ...)``.

    All is checked in the first batch of each epoch: looking at values waits for the device.

    Args:
        batch: what a loader gave.
        batch_idx: its number in the epoch.
        model: has an ``image_shape`` and ``num_classes``.

    Raises:
        ValueError: it is no such batch.
    """
    if not isinstance(batch, Sequence) or len(batch) < 2:
        raise ValueError(
            f"Batches must be (images, labels, ...), got {_described(batch)}: return them so from "
            "the data set."
        )
    images, labels, *_ = batch
    if batch_idx == 0:
        check_images(images, model.image_shape)
        _check_labels(labels, len(images), model.num_classes)
    return images, labels.long()


def images_alone(batch: Any, batch_idx: int, model: Any) -> Tensor:
    """The images (B, C, H, W) of a batch ``(images, ...)``, or of one that is nothing else.

    Args:
        batch: what a loader gave.
        batch_idx: its number; the first is checked.
        model: has an ``image_shape``.

    Raises:
        ValueError: it is no such batch.
    """
    if not isinstance(batch, Tensor | Sequence) or len(batch) == 0:
        raise ValueError(
            f"Batches must be (images, ...), got {_described(batch)}: return them so from the data "
            "set."
        )
    images = batch if isinstance(batch, Tensor) else batch[0]
    if batch_idx == 0:
        check_images(images, model.image_shape)
    return images


def check_labels_on_cpu(batch: Any, num_classes: int) -> None:
    """Refuse labels that are no classes, if a batch ``(images, labels, ...)`` is on the CPU yet."""
    if not isinstance(batch, list | tuple) or len(batch) < 2:
        return
    images, labels, *_ = batch
    if isinstance(images, Tensor) and isinstance(labels, Tensor) and labels.device.type == "cpu":
        _check_labels(labels, len(images), num_classes)


@contextmanager
def more_than_one_value() -> Iterator[None]:
    """Say what torch's batch norm says of a batch of one image, so that it helps."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            "A training batch has one image only, of which batch norm has nothing to average in "
            "this network: give a batch_size of 2 or more, and drop_last=True to a loader whose "
            "last batch is of one image."
        ) from None


def _check_labels(labels: Any, count: int, num_classes: int) -> None:
    """Refuse what are no classes 0 to K - 1, of any kind of number.

    Args:
        labels: should be (B,).
        count: B.
        num_classes: K.

    Raises:
        ValueError: one sentence about the first thing that is wrong.
    """
    if not isinstance(labels, Tensor) or tuple(labels.shape) != (count,):
        raise ValueError(
            f"Labels must be one class number for each of {count} images, ({count},), got "
            f"{_described(labels)}."
        )
    # numpy: on the CPU, where batches come from, there is nothing to wait for.
    values = labels.detach().cpu().double().numpy()
    if not (np.equal(values, np.floor(values)).all() and np.isfinite(values).all()):
        raise ValueError(
            f"Labels must be whole numbers, the classes 0 to {num_classes - 1}, got "
            f"{values[values != np.floor(values)][:1].tolist() or 'infinity'}."
        )
    if count and not (values.min() >= 0 and values.max() < num_classes):
        raise ValueError(
            f"Labels must be classes from 0 to {num_classes - 1}, got {values.min():g} to "
            f"{values.max():g}: number them from 0, or name more classes."
        )


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
