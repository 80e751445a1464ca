"""The loop of `evaluate`: its data, shared out over processes, and what is done with a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.datamodules.batches.samplers import WholeBatchSampler
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.steps import NamedStep
from lightning_ecinn.evaluation import (
    Judges,
    Pairs,
    RealismSample,
    Rows,
    choose_realism_sample,
    choose_targets,
    joined,
    measured,
    properties_of,
    read_images,
    realism_pictures,
)
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.training.processes import gather
from lightning_ecinn.training.shared import check_precision

__all__ = ["CounterfactualEvaluation", "EvaluationData"]

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
    ):
        super().__init__()
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
        """K."""
        return self.data.num_classes  # type: ignore[attr-defined]

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
        return images, torch.as_tensor(labels).long()

    def true_pixels(self, index: Tensor, source: Tensor, target: Tensor) -> Tensor | None:
        """The pixels that truly tell p from q in each image, bool (B, C or 1, H, W), if known.

        Of pictures from a file they are known only where they are the same in every image.
        """
        if self.images:
            mask = getattr(self.data, "mask", None)
            return None if mask is None else mask(source, target)
        ask = getattr(self.data, "changed_pixels", None)
        return None if ask is None else ask(self.split, index, source, target)

    def _file(self) -> tuple[Dataset, np.ndarray]:
        assert self.images is not None
        images, labels = read_images(self.images)
        if tuple(images.shape[1:]) != self.shape:
            raise ValueError(
                f"--images {self.images}: the images are {tuple(images.shape[1:])} (channels, "
                f"height, width), but the data's are {self.shape}."
            )
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(
                f"--images {self.images}: labels go from {labels.min()} to {labels.max()}, but the "
                f"classes are 0 to {self.num_classes - 1}."
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


class CounterfactualEvaluation(pl.LightningModule):
    """Measures the counterfactuals of :class:`EvaluationData`, batch by batch.

    Args:
        explainer: makes them.
        alphas: at which steps.
        judges: other models that look at them.
        survival: whether tilt, weight and size of images and counterfactuals are measured.
        keep_pictures: whether some pictures are kept, to be told apart from real images.

    Attributes:
        realism_sample: which pictures are kept, once the loop has begun; None for none.
    """

    realism_sample: RealismSample | None = None

    def __init__(
        self,
        explainer: Explainer,
        alphas: Sequence[NamedStep | float],
        judges: Judges,
        *,
        survival: bool = False,
        keep_pictures: bool = False,
    ):
        super().__init__()
        self.classifier = explainer.classifier  # a submodule: Lightning moves it
        self.explainer = explainer
        self.alphas = tuple(alphas)
        self.judges = judges
        self.survival = survival
        self.keep_pictures = keep_pictures
        self._parts: list[Rows] = []
        self._pictures: list[Rows] = []

    @property
    def data(self) -> EvaluationData:
        """What is evaluated."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, EvaluationData)
        return data

    def setup(self, stage: str) -> None:
        """Refuse precisions in which no flow can be inverted."""
        check_precision(self.trainer)

    def on_predict_start(self) -> None:
        """Forget an earlier evaluation."""
        self.judges.to(self.device)
        self._parts, self._pictures, data = [], [], self.data
        if self.keep_pictures:
            self.realism_sample = choose_realism_sample(
                data.pairs, data.labels, data.num_classes, data.shape, data.seed
            )

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> int:
        """Keep the rows of a batch; of "all" targets only those that the image is not already.

        Judges too look in full precision, however the network was trained.
        """
        mask = partial(self.data.true_pixels, batch["index"])
        before = properties_of(as_float(batch["images"])) if self.survival else None
        for alpha in self.alphas:
            with torch.autocast(self.device.type, enabled=False):
                rows = measured(self.explainer, batch, alpha, self.judges, mask, before)
            if self.realism_sample is not None:
                self._pictures.append(realism_pictures(rows, self.realism_sample))
            del rows["picture"]
            if self.data.targets == "all":
                rows = {name: column[~rows["already"]] for name, column in rows.items()}
            self._parts.append(rows)
        return len(batch["index"])

    def gather(self) -> Rows | None:
        """All rows of all processes, on the first one; None on the others."""
        parts = gather(self.trainer, joined(self._parts))
        self._parts = []
        return None if parts is None else joined([part for part in parts if part])

    def gather_pictures(self) -> Rows | None:
        """The pictures that were kept, of all processes, as :meth:`gather` has the rows."""
        parts = gather(self.trainer, joined(self._pictures))
        self._pictures = []
        return None if parts is None else joined([part for part in parts if part])


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
