"""Batches for callbacks: from our DataModules or anyone's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.utils.data import DataLoader, IterableDataset

from lightning_ecinn.attribution import posterior
from lightning_ecinn.comparison.settings import Baselines
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.progress import progress_bar

__all__ = [
    "CorrectImages",
    "draw_baselines",
    "draw_batches",
    "draw_images",
    "read_first_images",
    "share_training_batches",
    "show_progress",
    "shuffle_training_batches",
    "up_to",
]


def share_training_batches(trainer: pl.Trainer) -> Iterable[Any]:
    """The training images of this process: over all processes each image exactly once.

    Batches are the same under any number of processes: number r of W has batches r, r + W, ...
    """
    rank, world = trainer.global_rank, trainer.world_size
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, InMemoryDataModule):
        dataset = datamodule.dataset("train")
        chunks = torch.arange(len(dataset)).split(datamodule.eval_batch_size)[rank::world]
        return DataLoader(dataset, None, sampler=chunks, generator=torch.Generator())
    loader = _training_loader(trainer)
    size, length = _batch_size(loader), len(loader.dataset)  # type: ignore[arg-type]
    return _rebuilt(loader, [i for i in range(length) if i // size % world == rank])


def shuffle_training_batches(trainer: pl.Trainer, seed: int = 0) -> Iterable[Any]:
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


def read_first_images(trainer: pl.Trainer, split: SplitName, limit: int) -> tuple[Tensor, Tensor]:
    """Up to `limit` images and labels of a split, on the CPU, the same on every process."""
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, InMemoryDataModule):
        dataset = datamodule.dataset(split)
        images, labels, _ = dataset[torch.arange(min(limit, len(dataset)))]
        return images, labels
    parts = up_to(limit, _own_loader(trainer, split))
    all_images, all_labels = (torch.cat(column) for column in zip(*parts, strict=True))
    return all_images.cpu(), all_labels.cpu()


def draw_batches(
    trainer: pl.Trainer, split: SplitName, generator: torch.Generator, batch_size: int
) -> Iterable[Any]:
    """All images of a split in an order drawn from the generator, without augmentation.

    A loader that is not ours keeps its batch size, and its order where it has no data set of known
    length.
    """
    datamodule = getattr(trainer, "datamodule", None)
    if isinstance(datamodule, InMemoryDataModule):
        dataset = datamodule.dataset(split)
        chunks = torch.randperm(len(dataset), generator=generator).split(batch_size)
        return DataLoader(dataset, None, sampler=chunks, generator=torch.Generator())  # type: ignore[arg-type]
    loader = _own_loader(trainer, split)
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return loader
    if loader.batch_sampler is None:
        return loader
    order = torch.randperm(len(loader.dataset), generator=generator)  # type: ignore[arg-type]
    return _rebuilt(loader, order.tolist())


def draw_images(
    trainer: pl.Trainer, split: SplitName, limit: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Up to `limit` images of a split and their labels, on the CPU, drawn by seed."""
    generator = torch.Generator().manual_seed(seed)
    parts = up_to(limit, draw_batches(trainer, split, generator, limit))
    images, labels = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return images, labels.long()


def up_to(limit: int | None, batches: Iterable[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels of batches until there are so many; of all, where the limit is None."""
    count = 0
    for images, labels, *_ in batches:
        left = None if limit is None else limit - count
        yield images[:left], torch.as_tensor(labels)[:left]
        count += len(images)
        if limit is not None and count >= limit:
            return


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
            "batch_size, or derive the data module from InMemoryDataModule."
        )
    return loader


def _rebuilt(loader: DataLoader, order: Sequence[int]) -> DataLoader:
    """The same data set in the given order, nothing padded, nothing dropped."""
    return DataLoader(
        loader.dataset,
        batch_size=_batch_size(loader),
        sampler=order,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        generator=torch.Generator(),  # leaves torch's global generator alone
    )


def _batch_size(loader: DataLoader) -> int:
    return getattr(loader.batch_sampler, "batch_size", None) or 128


class CorrectImages:
    """Correctly classified images of a split, by class, in an order drawn by seed.

    Args:
        trainer: knows the data.
        model: classifies them.
        split: "train", "val" or "test", of which the first 2,000 images are looked at.
        seed: of the order.
    """

    def __init__(
        self, trainer: pl.Trainer, model: Explainer | nn.Module, split: SplitName, seed: int
    ):
        self.images, self.labels = read_first_images(trainer, split, limit=2000)
        predicted = posterior(model, self.images).argmax(1).cpu()
        self.is_correct = predicted == self.labels
        self.shuffle(seed)
        names = getattr(model, "class_names", None)
        self.names = names or tuple(map(str, range(int(self.labels.max()) + 1)))

    def shuffle(self, seed: int) -> None:
        """Draw the order anew: what one call with that seed gives."""
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(seed))
        self.order = order[self.is_correct[order]]

    def of(self, label: int, count: int) -> Tensor:
        """The first `count` images of a class.

        Raises:
            LookupError: there is none.
        """
        return self.images[self.indices(count, source=label)]

    def one_of_each(self, classes: Iterable[int]) -> tuple[Tensor, list[int]]:
        """One image of each class that has one, (B, C, H, W), and these classes.

        Raises:
            LookupError: no class has one.
        """
        with_image = sorted(set(classes) & set(self.labels[self.order].tolist()))
        if not with_image:
            raise LookupError(f"none of {len(self.labels)} images is classified correctly.")
        return torch.cat([self.of(k, 1) for k in with_image]), with_image

    def in_turn(self, count: int) -> Tensor:
        """Numbers (N,) of up to `count` images: one of each class, a second one of each, ...

        Raises:
            LookupError: there is none.
        """
        if not len(self.order):
            raise LookupError(f"none of {len(self.labels)} images is classified correctly.")
        labels = self.labels[self.order]
        rank = one_hot(labels).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
        turn = (rank * (int(labels.max()) + 1) + labels).argsort()
        return self.order[turn[:count]]

    def indices(self, count: int, source: int | None = None, but: int | None = None) -> Tensor:
        """Numbers (N,) in the split of up to `count` images of one class, or of all but one.

        Raises:
            LookupError: there is none.
        """
        labels = self.labels[self.order]
        wanted = labels == source if source is not None else labels != (-1 if but is None else but)
        chosen = self.order[wanted][:count]
        if len(chosen) == 0:
            kind = "image" if source is None else f"image of class {self.names[source]}"
            raise LookupError(f"no {kind} is classified correctly among {len(self.labels)}.")
        return chosen


def draw_baselines(trainer: pl.Trainer, kind: Baselines, count: int, seed: int) -> Tensor | None:
    """What DeepLiftSHAP and GradSHAP compare with: None for black, else images (N, C, H, W).

    Up to `count` training images are drawn from the first 2,000 by seed.
    """
    if kind == "black":
        return None
    images, _ = read_first_images(trainer, "train", limit=2000)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return images[order[:count]]


def show_progress(trainer: pl.Trainer, parts: Sequence[Tensor], title: str) -> Iterable[Tensor]:
    """The parts, with a progress bar unless the user wants none."""
    return progress_bar(parts, title, shown=trainer.progress_bar_callback is not None)
