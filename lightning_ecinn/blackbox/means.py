"""Class means of any classifier: mean latents of the images that it takes for each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.blackbox.predictor import Predictor
from lightning_ecinn.ecinn.class_means import ClassMeans
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.models.inputs import as_float, checked_images, shown
from lightning_ecinn.models.preprocessing import round_to_8_bits
from lightning_ecinn.progress import progress_bar

__all__ = ["Images", "counts_in_words", "means_as_classified"]

_LISTED = 20

Images = Tensor | Iterable[Any]
"""Images (N, C, H, W), or batches of them; of a batch that is a list or tuple the first part."""


@torch.no_grad()
def means_as_classified(
    flow: Explainer, predictor: Predictor, images: Images, *, progress: bool = True
) -> tuple[Tensor, Tensor]:
    """Mean latents (K, D) of images by the class a classifier takes them for, and counts (K,).

    Sums are float64; images are read a few at a time.

    Args:
        flow: encodes.
        predictor: classifies, in 8 bits.
        images: all of them, or batches, as a data loader gives.
        progress: whether a terminal shows a bar.

    Raises:
        ValueError: there are no images, or none of the flow's shape.
    """
    metric = None
    with progress_bar(title="Class means", unit=" images", shown=progress) as bar:
        for batch in _batches(images, flow.chunk_size):
            pictures = checked_images(batch, flow.image_shape, flow.classifier.class_means)
            seen = predictor(round_to_8_bits(as_float(pictures, flow.dtype)))
            if metric is None:
                metric = ClassMeans(seen.shape[1], flow.classifier.num_dims).to(flow.device)
            metric.update(flow.encode(pictures)[0], seen.argmax(1))
            bar.update(len(pictures))
    if metric is None:
        raise ValueError("Class means need images, got none: give some of the training images.")
    return metric.compute()


def counts_in_words(class_names: Sequence[str], class_counts: Tensor) -> str:
    """How many images were taken for each class; of many classes the 20 most frequent."""
    most = class_counts.argsort(descending=True, stable=True)[:_LISTED].sort().values.tolist()
    told = ", ".join(f"{class_names[k]} {int(class_counts[k]):,}" for k in most)
    left = len(class_names) - len(most)
    return f"{told} and {left:,} other classes" if left else told


def _batches(images: Images, size: int) -> Iterator[Tensor]:
    """Images a few at a time."""
    if isinstance(images, Tensor):
        yield from images.split(size)
        return
    try:
        batches = iter(images)
    except TypeError:
        raise ValueError(
            "Images must be a tensor (N, C, H, W) or batches of them, as a data loader gives, got "
            f"{shown(images)}."
        ) from None
    for batch in batches:
        first = batch[0] if isinstance(batch, list | tuple) else batch
        yield from first.split(size) if isinstance(first, Tensor) else [first]
