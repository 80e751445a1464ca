"""Batches for callbacks: from our DataModules or anyone's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules import InMemoryDataModule

__all__ = ["first_images", "shuffled_training_batches", "strided_training_batches"]


def strided_training_batches(trainer: pl.Trainer) -> Iterable[Any]:
    """The training images of this process: over all processes each image exactly once."""
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, InMemoryDataModule):
        return datamodule.ordered_dataloader("train")
    loader = _training_loader(trainer)
    length = len(loader.dataset)
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
    order = torch.randperm(len(loader.dataset), generator=generator)
    return _rebuilt(loader, order.tolist())


def first_images(trainer: pl.Trainer, split: str, limit: int) -> tuple[Tensor, Tensor]:
    """Up to `limit` images and labels of a split, on the CPU."""
    images, labels, count = [], [], 0
    for batch in _split_batches(trainer, split):
        images.append(batch[0])
        labels.append(batch[1])
        count += len(batch[1])
        if count >= limit:
            break
    return torch.cat(images)[:limit].cpu(), torch.cat(labels)[:limit].cpu()


def _split_batches(trainer: pl.Trainer, split: str) -> Iterable[Any]:
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, InMemoryDataModule):
        return datamodule.ordered_dataloader(split)
    source = datamodule if datamodule is not None else trainer.lightning_module
    if split == "test":
        source.setup("test")
    return getattr(source, f"{split}_dataloader")()


def _training_loader(trainer: pl.Trainer) -> DataLoader:
    loader = trainer.train_dataloader
    if loader is None:
        source = getattr(trainer, "datamodule", None) or trainer.lightning_module
        loader = source.train_dataloader()
    if not isinstance(loader, DataLoader):
        raise ValueError(
            "Class means need one training DataLoader with a dataset of known length, got "
            f"{type(loader).__name__}: return a torch DataLoader from train_dataloader."
        )
    return loader


def _rebuilt(loader: DataLoader, order: Sequence[int]) -> DataLoader:
    """The same data set in the given order, nothing padded, nothing dropped."""
    return DataLoader(
        loader.dataset,
        batch_size=loader.batch_size or 128,
        sampler=order,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
    )
