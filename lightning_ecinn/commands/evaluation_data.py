"""What `evaluate` looks at: pairs of an image and a target, shared out over processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from lightning_ecinn.blackbox import BlackBoxExplainer
from lightning_ecinn.datamodules import Factor, InMemoryDataModule
from lightning_ecinn.datamodules.batches.samplers import WholeBatchSampler
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.evaluation import Pairs, choose_targets, read_images
from lightning_ecinn.metrics.two_sample import in_8_bits
from lightning_ecinn.progress import progress_bar

__all__ = ["EvaluationData"]

_STAGES = {"train": "fit", "val": "validate", "test": "test"}


class EvaluationData(pl.LightningDataModule):
    """Pairs of an image and a target, in batches that are the same under any number of processes.

    Args:
        data: the images.
        split: which of its splits.
        images: a file that takes their place, see `evaluation.read_images`.
        targets: "random", "all" or a file, see `evaluation.choose_targets`.
        count: only the first so many images.
        seed: of the random targets.
        batch_size: pairs per batch.
        asked: the classifier that is explained, where it is not the flow's own; if it has other
            classes than the data, its predictions take the place of the labels.

    Attributes:
        pairs: all of them, once it is set up.
        labels: (N,), of all images of the split or file, from then on.
    """

    pairs: Pairs
    labels: np.ndarray

    def __init__(
        self,
        data: pl.LightningDataModule,
        split: SplitName = "test",
        *,
        images: str | None = None,
        targets: str = "random",
        count: int | None = None,
        seed: int = 0,
        batch_size: int = 100,
        asked: BlackBoxExplainer | None = None,
    ):
        super().__init__()
        names = tuple(data.class_names)  # type: ignore[attr-defined]
        self._relabels = None if asked is None or asked.class_names == names else asked
        self.data = data
        self.split = split
        self.images = images
        self.targets = targets
        self.count = count
        self.seed = seed
        self.batch_size = batch_size
        self._dataset: Dataset | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return tuple(self.data.image_shape)  # type: ignore[attr-defined]

    @property
    def num_classes(self) -> int:
        """K, the explained classifier's."""
        source: Any = self._relabels or self.data
        return source.num_classes

    def prepare_data(self) -> None:
        """Download what has to be."""
        if self.images is None:
            self.data.prepare_data()

    def setup(self, stage: str) -> None:
        """Read images and targets; refuse what does not fit together.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: files are not what they should be.
        """
        if self._dataset is not None:
            return
        self._dataset, self.labels = self._file() if self.images else self._read_split()
        if self._relabels is not None:
            self.labels = self._predicted(self._relabels, len(self.labels))
        self.pairs = choose_targets(
            self.targets, self.labels, self.num_classes, seed=self.seed, count=self.count
        )

    def predict_dataloader(self) -> DataLoader:
        """Batches of this process; rows that are there twice are dropped when they are joined."""
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return DataLoader(
            _PairDataset(self.read, self.pairs),
            sampler=WholeBatchSampler(self.pairs, self.batch_size, world, rank),
            batch_size=None,
            generator=torch.Generator(),  # leaves torch's global generator alone
        )

    def read(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and labels (B,) of the numbers index (B,)."""
        assert self._dataset is not None
        images, labels, *_ = self._dataset[index]
        if self._relabels is not None:
            labels = self.labels[index]
        return images, torch.as_tensor(labels).long()

    def pictures(self, index: Tensor) -> Tensor:
        """Images (n, C, H, W) uint8 of numbers index (n,); read in batches, which may be large."""
        parts = (self.read(part)[0] for part in index.split(self.batch_size))
        return torch.cat([in_8_bits(part) for part in parts])

    def true_pixels(self, index: Tensor, source: Tensor, target: Tensor) -> Tensor | None:
        """The pixels that truly tell p from q in each image, bool (B, C or 1, H, W), if known.

        Of pictures from a file they are known only where they are the same in every image; of the
        classes of another classifier never.
        """
        if self._relabels is not None:
            return None
        if self.images:
            mask = getattr(self.data, "mask", None)
            return None if mask is None else mask(source, target)
        ask = getattr(self.data, "changed_pixels", None)
        return None if ask is None else ask(self.split, index, source, target)

    def factors(self, index: Tensor) -> dict[str, Factor]:
        """What the images of numbers index (B,) are made of, where the data know it."""
        ask = getattr(self.data, "factors", None)
        return {} if ask is None or self.images else ask(self.split, index)

    def _predicted(self, asked: BlackBoxExplainer, count: int) -> np.ndarray:
        """What the classifier takes each image for."""
        assert self._dataset is not None
        chunks = torch.arange(count).split(self.batch_size)
        shown = progress_bar(chunks, "Asking the classifier", delay=3)
        said = [asked.posterior(self._dataset[chunk][0]).argmax(1).cpu() for chunk in shown]
        return torch.cat(said).numpy()

    def _file(self) -> tuple[Dataset, np.ndarray]:
        assert self.images is not None
        images, labels = read_images(self.images)
        if tuple(images.shape[1:]) != self.shape:
            raise ValueError(
                f"--images {self.images}: the images are {tuple(images.shape[1:])} (channels, "
                f"height, width), but the data's are {self.shape}."
            )
        most = self.data.num_classes - 1  # type: ignore[attr-defined]
        if labels.min() < 0 or labels.max() > most:
            raise ValueError(
                f"--images {self.images}: labels go from {labels.min()} to {labels.max()}, but the "
                f"classes are 0 to {most}."
            )
        return _Arrays(images, labels), labels.numpy()

    def _read_split(self) -> tuple[Dataset, np.ndarray]:
        if isinstance(self.data, InMemoryDataModule):
            dataset = self.data.dataset(self.split)
            if len(dataset) == 0:
                raise ValueError(f"There is no image in the split {self.split!r} of the data.")
            return dataset, dataset.labels.numpy()
        self.data.trainer = self.trainer
        self.data.setup(_STAGES[self.split])
        loader = getattr(self.data, f"{self.split}_dataloader")()
        if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
            raise ValueError(
                f"evaluate needs one {self.split} DataLoader with a dataset of known length, got "
                f"{type(loader).__name__}: return a torch DataLoader from {self.split}_dataloader."
            )
        wrapped = _Collated(loader.dataset, loader.collate_fn)
        every = torch.arange(len(loader.dataset))  # type: ignore[arg-type]
        labels = [wrapped[chunk][1] for chunk in every.split(self.batch_size)]
        return wrapped, torch.cat(labels).long().numpy()


class _PairDataset(Dataset):
    """Numbers of pairs (B,) to their images and targets."""

    def __init__(self, read: Callable[[Tensor], tuple[Tensor, Tensor]], pairs: Pairs):
        self.read = read
        self.index = torch.from_numpy(pairs.index)
        self.target = torch.from_numpy(pairs.target)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, which: Tensor) -> dict[str, Tensor]:
        index = self.index[which]
        images, label = self.read(index)
        return {"images": images, "label": label, "index": index, "target": self.target[which]}


class _Arrays(Dataset):
    """Images and labels in memory, a batch at a time."""

    def __init__(self, images: Tensor, labels: Tensor):
        self.images = images
        self.labels = labels

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


class _Collated(Dataset):
    """Anyone's data set, a batch at a time."""

    def __init__(self, dataset: Any, collate: Callable[[list[Any]], Any]):
        self.dataset = dataset
        self.collate = collate

    def __getitem__(self, index: Tensor) -> Any:
        return self.collate([self.dataset[i] for i in index.tolist()])
