"""A judge of counterfactuals: an ordinary network, trained in minutes beside a flow.

It sees the training images alone, shifted by up to two pixels, and mirrored where the data are, and
has a uniform prior, as the flow's posterior has.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.progress import progress_bar
from lightning_ecinn.training.batches import draw_batches
from lightning_ecinn.training.networks import SmallCNN

__all__ = ["moved_about", "new_judge", "train_judge"]

_WIDTHS = (16, 32, 48, 64)
_SMALLEST = 4
"""Side of the pictures in the last stage, at least."""
_BATCH = 64
_WARMUP = 0.2
_START = 0.1
"""Share of the minutes in which time does not count yet."""
_SHIFT, _SIDE_PER_SHIFT = 2, 14
"""Pixels, and how many of a side's there are to each: 28 x 28 pictures are moved by up to 2."""


def new_judge(classifier: GenerativeClassifier, seed: int) -> SmallCNN:
    """An untrained judge of a classifier's images and classes, its weights drawn by seed.

    It has up to four stages, as many as leave pictures of 4 x 4 to the last.
    """
    stages = 1 + max(0, int(math.log2(min(classifier.image_shape[1:]) / _SMALLEST)))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed: that seeds GPUs too
        judge = SmallCNN(
            classifier.image_shape,
            classifier.num_classes,
            classifier.class_names,
            widths=list(_WIDTHS[:stages]),
            lr=0.004,
            weight_decay=0.01,
            schedule="onecycle",
        )
    return judge.float()


def train_judge(
    trainer: pl.Trainer, judge: SmallCNN, *, epochs: int, minutes: float, seed: int
) -> Iterator[None]:
    """Train by AdamW and cross-entropy, in one cycle of the learning rate; yields after an epoch.

    The cycle ends with the epochs or, where they take longer, with the minutes. Where they don't,
    the same seed gives the same network. Nothing is drawn from torch's global generator.

    Args:
        trainer: knows the training images.
        judge: on the device where it is trained; ends in evaluation mode.
        epochs: over all training images.
        minutes: the most that it takes.
        seed: of the order, the shifts and the mirror images.
    """
    settings, start = judge.hparams, time.monotonic()
    optimizer = torch.optim.AdamW(
        judge.parameters(), settings["lr"], weight_decay=settings["weight_decay"]
    )
    generator = torch.Generator().manual_seed(seed)
    data = getattr(trainer, "datamodule", None)
    flip = isinstance(data, InMemoryDataModule) and data.mirrors
    weight = _class_weights(trainer, judge)
    judge.train()
    for epoch in range(epochs):
        batches = draw_batches(trainer, "train", generator, _BATCH)
        count = len(batches)  # type: ignore[arg-type]
        for step, (images, labels, *_) in enumerate(_shown(trainer, batches, epoch)):
            spent = (time.monotonic() - start) / (60 * minutes)
            # At first it says more of the start than of the pace.
            progress = max((epoch + step / count) / epochs, spent if spent > _START else 0)
            if progress >= 1:
                break
            optimizer.param_groups[0]["lr"] = settings["lr"] * _one_cycle(progress)
            if len(images) > 1:  # batch norm needs two
                _step(judge, optimizer, moved_about(images, generator, flip), labels, weight)
        yield
        if time.monotonic() - start >= 60 * minutes:
            break
    judge.eval()


def moved_about(images: Tensor, generator: torch.Generator, flip: bool) -> Tensor:
    """Images (B, C, H, W), each moved by up to two pixels, edges repeated, and half mirrored."""
    count, _, height, width = images.shape
    most = min(_SHIFT, min(height, width) // _SIDE_PER_SHIFT)
    by = torch.randint(-most, most + 1, (2, count, 1), generator=generator)
    rows = (torch.arange(height) + by[0]).clamp(0, height - 1)
    columns = (torch.arange(width) + by[1]).clamp(0, width - 1)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    each = torch.arange(count)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


@torch.enable_grad()
def _step(
    judge: SmallCNN,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Any,
    weight: Tensor | None,
) -> None:
    optimizer.zero_grad()
    logits = judge.network(images.to(judge.device))
    labels = torch.as_tensor(labels).long().to(judge.device)
    F.cross_entropy(logits, labels, weight=weight).backward()
    optimizer.step()


def _one_cycle(progress: float) -> float:
    """Share of the highest learning rate: up within a fifth of the training, then down to 0."""
    if progress < _WARMUP:
        return 0.04 + 0.96 * math.sin(math.pi / 2 * progress / _WARMUP) ** 2
    return math.cos(math.pi / 2 * (progress - _WARMUP) / (1 - _WARMUP)) ** 2


def _class_weights(trainer: pl.Trainer, judge: SmallCNN) -> Tensor | None:
    """N / (K n_k), (K,): every class counts alike; None where nobody has counted the labels."""
    datamodule, num_classes = getattr(trainer, "datamodule", None), judge.network.num_classes
    if not isinstance(datamodule, InMemoryDataModule):
        return None
    labels = torch.as_tensor(datamodule.dataset("train").labels)
    counts = labels.bincount(minlength=num_classes).float()
    return (counts.sum() / (num_classes * counts.clamp(min=1))).to(judge.device)


def _shown(trainer: pl.Trainer, batches: Iterable[Any], epoch: int) -> Iterable[Any]:
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        batches = islice(batches, 1)
    shown = trainer.progress_bar_callback is not None
    return progress_bar(batches, f"judge, epoch {epoch + 1}", unit=" batches", shown=shown)
