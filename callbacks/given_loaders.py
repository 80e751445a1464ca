"""The loaders that a trainer was given without a DataModule, for callbacks that look at images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, IterableDataset

from lightning_ecinn.datamodules.checks import SplitName

__all__ = ["has_images", "with_given_loaders"]


def has_images(trainer: pl.Trainer, split: SplitName) -> bool:
    """Whether there is a loader of a split: from a DataModule, the module or given as it is."""
    return bool(_source(trainer, split)) or _given(trainer, split) is not None


@contextmanager
def with_given_loaders(trainer: pl.Trainer) -> Iterator[None]:
    """Meanwhile the trainer has a DataModule of the loaders that it was given."""
    if trainer.datamodule is not None:  # type: ignore[attr-defined]
        yield
        return
    trainer.datamodule = _GivenLoaders(trainer)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        trainer.datamodule = None  # type: ignore[attr-defined]


class _GivenLoaders(pl.LightningDataModule):
    """The loaders of a trainer, each with all the images of its data set, in their order."""

    def __init__(self, trainer: pl.Trainer):
        super().__init__()
        self.given_to = trainer

    def setup(self, stage: str) -> None:
        """Let the module set its own up, where it has them."""
        self.given_to.lightning_module.setup(stage)

    def train_dataloader(self) -> Any:
        """Of the training images."""
        return self._loader("train")

    def val_dataloader(self) -> Any:
        """Of the validation images."""
        return self._loader("val")

    def test_dataloader(self) -> Any:
        """Of the test images."""
        return self._loader("test")

    def _loader(self, split: SplitName) -> Any:
        given = _given(self.given_to, split)
        if given is None:
            return getattr(self.given_to.lightning_module, f"{split}_dataloader")()
        while isinstance(given, list | tuple):
            given = given[0]
        return _unshared(given)


def _source(trainer: pl.Trainer, split: SplitName) -> Any:
    """What makes a loader of the split."""
    name = f"{split}_dataloader"
    sources = (trainer.datamodule, trainer.lightning_module)  # type: ignore[attr-defined]
    return next((one for one in sources if one is not None and is_overridden(name, one)), None)


def _given(trainer: pl.Trainer, split: SplitName) -> Any:
    """The loader, or the loaders, that the trainer uses; None where it has none."""
    name = "train_dataloader" if split == "train" else f"{split}_dataloaders"
    return getattr(trainer, name)


def _unshared(loader: Any) -> Any:
    """The same images as Lightning was given, before it shared them out over processes."""
    dataset = getattr(loader, "dataset", None)
    is_plain = isinstance(loader, DataLoader) and not isinstance(dataset, IterableDataset)
    if not is_plain or loader.batch_sampler is None:
        return loader
    size = getattr(loader.batch_sampler, "batch_size", None) or 128
    return DataLoader(loader.dataset, batch_size=size, collate_fn=loader.collate_fn)
