"""Batches for callbacks: from our DataModules or anyone's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from datamodules import InMemoryDataModule
from datamodules.checks import SplitName

__all__ = ["first_images", "shuffled_training_batches", "strided_training_batches"]


def strided_training_batches(trainer: pl.Trainer) -> Iterable[Any]:
    """The training images of this process: over all processes each image exactly once."""
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, InMemoryDataModule):
        return datamodule.ordered_dataloader("train")
    loader = _training_loader(trainer)
    length = len(loader.dataset)  # type: ignore[arg-type]
    return _rebuilt(loader, range(trainer.global_rank, length, trainer.world_size))


def shuffled_training_batches(trainer: pl.Trainer, seed: int = 0) -> Iterable[Any]:
    """All training images in one fixed random order, the same on every process."""
    datamodule = getattr(trainer, "datamodule", None)
    generator = torch.Generator().manual_seed(seed)
    if isinstance(datamodule, InMemoryDataModule):
        dataset = datamodule.dataset("train")
        order = torch.randperm(len(dataset), generator=generator)
        chunks = order.split(datamodule.eval_batch_size)
        return [dataset[chunk] for chunk in chunks]
    loader = _training_loader(trainer)
    order = torch.randperm(len(loader.dataset), generator=generator)  # type: ignore[arg-type]
    return _rebuilt(loader, order.tolist())


def first_images(trainer: pl.Trainer, split: SplitName, limit: int) -> tuple[Tensor, Tensor]:
    """Up to `limit` images and labels of a split, on the CPU, the same on every process."""
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, InMemoryDataModule):
        dataset = datamodule.dataset(split)
        images, labels, _ = dataset[torch.arange(min(limit, len(dataset)))]
        return images, labels
    parts, count = [], 0
    for images, labels, *_ in _own_loader(trainer, split):
        parts.append((images, labels))
        count += len(labels)
        if count >= limit:
            break
    all_images, all_labels = (torch.cat(column) for column in zip(*parts, strict=True))
    return all_images[:limit].cpu(), all_labels[:limit].cpu()


def _own_loader(trainer: pl.Trainer, split: SplitName) -> Iterable[Any]:
    """The user's loader of a split, before Lightning shares it out over processes."""
    if split == "train":
        loader = _training_loader(trainer)
        return _rebuilt(loader, range(len(loader.dataset)))  # type: ignore[arg-type]
    source = getattr(trainer, "datamodule", None) or trainer.lightning_module
    if split == "test" and trainer.state.fn == "fit":
        source.setup("test")
    return getattr(source, f"{split}_dataloader")()


def _training_loader(trainer: pl.Trainer) -> DataLoader:
    loader = trainer.train_dataloader
    if loader is None:
        source = getattr(trainer, "datamodule", None) or trainer.lightning_module
        loader = source.train_dataloader()
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise ValueError(
            "Class means need one training DataLoader with a dataset of known length, got "
            f"{type(loader).__name__}: return a torch DataLoader from train_dataloader."
        )
    if loader.batch_sampler is None:
        raise ValueError(
            "Class means need a training DataLoader that makes the batches itself: give it a "
            "batch_size, or derive the data module from datamodules.InMemoryDataModule."
        )
    return loader


def _rebuilt(loader: DataLoader, order: Sequence[int]) -> DataLoader:
    """The same data set in the given order, nothing padded, nothing dropped."""
    return DataLoader(
        loader.dataset,
        batch_size=getattr(loader.batch_sampler, "batch_size", None) or 128,
        sampler=order,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        generator=torch.Generator(),  # leaves torch's global generator alone
    )
