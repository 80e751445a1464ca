"""The data module that all data sets share, and that users subclass for their own."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from lightning_ecinn.datamodules.batches.balance import is_unbalanced
from lightning_ecinn.datamodules.batches.dataset import ImageArrays
from lightning_ecinn.datamodules.batches.loader import ResumableLoader
from lightning_ecinn.datamodules.batches.recognition import Recognition, recognise
from lightning_ecinn.datamodules.batches.samplers import (
    OrderedBatchSampler,
    TrainBatchSampler,
    WholeBatchSampler,
)
from lightning_ecinn.datamodules.batches.settings import LoaderSettings
from lightning_ecinn.datamodules.batches.splits import stratified_split
from lightning_ecinn.datamodules.checks import (
    SPLITS,
    SplitName,
    check_arrays,
    check_at_least,
    check_description,
    check_shift,
    check_split,
    check_splits,
)
from lightning_ecinn.datamodules.factors import Factor
from lightning_ecinn.plain_text import plain


class InMemoryDataModule(pl.LightningDataModule):
    """Images in memory, as uint8 batches (images (B, C, H, W), labels (B,), indices (B,)).

    A data set of one's own is one method, `load`. `image_shape`, `num_classes` and `class_names`
    are there as soon as the object is.

    Args:
        image_shape: (channels, height, width).
        class_names: one name per class, in the order of the labels; characters that act on a
            terminal become escapes.
        val_size: images held out of the training images for validation, every class in proportion.
        **loader: fields of `LoaderSettings`; they become attributes.

    Raises:
        TypeError: there is no setting of a name.
        ValueError: an argument is out of range.

    Example:
        >>> class Stripes(InMemoryDataModule):
        ...     def __init__(self, batch_size: int = 64):
        ...         names = ["upright", "level"]
        ...         super().__init__((1, 32, 32), names, val_size=500, batch_size=batch_size)
        ...
        ...     def load(self, train):
        ...         labels = torch.arange(2000 if train else 400) % 2
        ...         lines = torch.randint(256, (len(labels), 1, 1, 32)).expand(-1, -1, 32, -1)
        ...         is_level = labels.bool()[:, None, None, None]
        ...         return torch.where(is_level, lines.mT, lines).byte(), labels
        >>> data = Stripes()
        >>> data.setup("fit")
        >>> data.describe()
        'Stripes: train 1,500 (each class 50.0 %); val 500 (each class 50.0 %)'
        >>> images, labels, indices = next(iter(data.train_dataloader()))
        >>> images.shape, images.dtype
        (torch.Size([64, 1, 32, 32]), torch.uint8)
    """

    def __init__(
        self, image_shape: Sequence[int], class_names: Sequence[str], val_size: int, **loader: Any
    ) -> None:
        super().__init__()
        check_description(image_shape, class_names)
        settings = LoaderSettings(**loader)
        check_at_least(0, val_size=val_size)
        check_shift(settings.max_shift or 0, image_shape)
        self.image_shape = tuple(image_shape)
        self.class_names = [plain(str(name)) for name in class_names]
        self.val_size = val_size
        self.batch_size = settings.batch_size
        self.eval_batch_size = settings.eval_batch_size
        self.seed = settings.seed
        self.max_shift = settings.max_shift
        self.flip = settings.flip
        self.balanced = settings.balanced
        self.predict_split = settings.predict_split
        self._datasets: dict[str, ImageArrays] = {}

    @property
    def num_classes(self) -> int:
        """The number of classes, K."""
        return len(self.class_names)

    @property
    def draws_equally(self) -> bool:
        """Whether training draws every class equally often; as found, where `balanced` is None."""
        if self.balanced is None:
            return is_unbalanced(self.dataset("train").labels)
        return self.balanced

    @cached_property
    def recognition(self) -> Recognition:
        """How well a linear classifier knows training images that are changed, and unchanged."""
        dataset = self.dataset("train")
        return recognise(dataset.images, dataset.labels)

    @property
    def mirrors(self) -> bool:
        """Whether training images are mirrored; as found, where `flip` is None."""
        return self.recognition.keeps("mirrored") if self.flip is None else self.flip

    @property
    def moves_by(self) -> int:
        """Pixels by which training images are translated; as found, where `max_shift` is None."""
        return int(self.recognition.keeps("moved")) if self.max_shift is None else self.max_shift

    def load(self, train: bool) -> tuple[Tensor, Tensor]:
        """Return all training images, or all test images: (N, C, H, W) uint8 and labels (N,).

        Labels are int64, or whole numbers of another type, which become that. Called once for each,
        when first needed. Subclasses implement it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not say how to load its images: define load()."
        )

    def read(self, split: SplitName) -> dict[str, ImageArrays]:
        """Read one split, and those that come with it.

        This one calls `load`, and holds `val_size` of the training images out. Data with splits of
        their own override it instead of `load`.

        Raises:
            ValueError: `load` returned something unusable.
        """
        train = split != "test"
        images, labels = self.load(train)
        source = f"{type(self).__name__}.load(train={train})"
        labels = check_arrays(images, labels, self.image_shape, self.num_classes, source)
        if not train:
            return {"test": ImageArrays(images, labels)}
        if self.val_size >= len(labels):
            raise ValueError(
                f"val_size is {self.val_size}, but there are only {len(labels)} training images: "
                f"give less than {len(labels)}."
            )
        stay, held_out = stratified_split(labels, self.val_size, self.seed)
        return {
            "train": ImageArrays(images, labels[stay], stay),
            "val": ImageArrays(images, labels[held_out], held_out),
        }

    def changed_pixels(
        self, split: SplitName, indices: Tensor, source: Tensor, target: Tensor
    ) -> Tensor | None:
        """Return the pixels that truly tell `source` from `target` in each image.

        Known for made data only: there, heatmaps are measured against it.

        Args:
            split: the split that the images are from.
            indices: (B,) into the split, as batches hold them.
            source: classes (B,) int64.
            target: classes (B,) int64.

        Returns:
            bool (B, C, H, W) or (B, 1, H, W) on the device of `source`; None where it is unknown.
        """
        return None

    def factors(self, split: SplitName, indices: Tensor) -> dict[str, Factor]:
        """Return what images are made of, by name, the label's own factor first.

        Known for made data only: there, an audit says what a classifier uses.

        Args:
            split: the split that the images are from.
            indices: (B,) into the split, as batches hold them.

        Returns:
            Each factor switched in these images; none where none is known.
        """
        return {}

    def setup(self, stage: str | None = None) -> None:
        """Read what `stage` needs; the test images only to test, or to predict on them."""
        _silence_worker_advice()
        needed: dict[str, tuple[SplitName, ...]] = {
            "fit": ("train",),
            "validate": ("val",),
            "test": ("test",),
            "predict": (self.predict_split,),
        }
        for split in needed.get(stage or "", SPLITS):
            self.dataset(split)

    def dataset(self, split: SplitName) -> ImageArrays:
        """Return the images of "train", "val" or "test", reading them if that is still to be done.

        Raises:
            ValueError: there is no such split, or `load` returned something unusable.
        """
        check_split(split)
        if split not in self._datasets:
            found = self.read(split)
            source = f"{type(self).__name__}.read({split!r})"
            check_splits({n: d.labels for n, d in found.items()}, split, self.num_classes, source)
            self._datasets |= found
        return self._datasets[split]

    def train_dataloader(self) -> DataLoader:
        """Shuffled, augmented batches; the order depends on (seed, epoch) alone."""
        if getattr(self.trainer, "overfit_batches", 0) > 0:
            return self._ordered("train", self.batch_size)
        dataset = self.dataset("train")
        sampler = TrainBatchSampler(
            dataset,
            self.batch_size,
            self.seed,
            self.moves_by,
            self.mirrors,
            **self._ranks(),
            classes=dataset.labels if self.draws_equally else None,
        )
        return _loader(dataset, sampler, ResumableLoader)

    def val_dataloader(self) -> DataLoader | list:
        """Held-out training images in order; no loader at all if `val_size` is 0."""
        return self.ordered_dataloader("val") if len(self.dataset("val")) else []

    def test_dataloader(self) -> DataLoader:
        """Test images in order."""
        return self.ordered_dataloader("test")

    def predict_dataloader(self) -> DataLoader:
        """Images of `predict_split` in order, in the same batches under any number of processes."""
        dataset = self.dataset(self.predict_split)
        return _loader(dataset, WholeBatchSampler(dataset, self.eval_batch_size, **self._ranks()))

    def ordered_dataloader(self, split: SplitName) -> DataLoader:
        """Return every image of `split` once, in order, unaugmented, shared out over the processes.

        Raises:
            ValueError: there is no such split, or it has no images.
        """
        return self._ordered(split, self.eval_batch_size)

    def describe(self) -> str:
        """Return one line: per split read so far its images, smallest and largest class share."""
        splits = [
            _describe(split, self._datasets[split], self.class_names)
            for split in SPLITS
            if split in self._datasets
        ]
        return f"{type(self).__name__}: {'; '.join(splits) or 'nothing read yet'}"

    @property
    def split_sizes(self) -> dict[str, int]:
        """How many images each split has that was read so far."""
        return {split: len(dataset) for split, dataset in self._datasets.items()}

    def _ordered(self, split: SplitName, batch_size: int) -> DataLoader:
        dataset = self.dataset(split)
        return _loader(dataset, OrderedBatchSampler(dataset, batch_size, **self._ranks()))

    def _ranks(self) -> dict[str, int]:
        """This process's rank and their number; 0 and 1 outside a trainer."""
        if self.trainer is None:
            return {"num_replicas": 1, "rank": 0}
        return {"num_replicas": self.trainer.world_size, "rank": self.trainer.global_rank}


def _loader(
    dataset: ImageArrays, sampler: Sampler, loader: type[DataLoader] = DataLoader
) -> DataLoader:
    """Wrap a sampler of whole batches; its own generator leaves torch's global one untouched."""
    return loader(
        dataset,
        sampler=sampler,
        batch_size=None,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),
    )


def _describe(split: str, dataset: ImageArrays, class_names: list[str]) -> str:
    if len(dataset) == 0:
        return f"{split} 0"
    shares = 100 * dataset.labels.bincount(minlength=len(class_names)) / len(dataset)
    low, high = int(shares.argmin()), int(shares.argmax())
    if low == high:
        return f"{split} {len(dataset):,} (each class {shares[low]:.1f} %)"
    return (
        f"{split} {len(dataset):,} (classes from {shares[low]:.1f} % for {class_names[low]} "
        f"to {shares[high]:.1f} % for {class_names[high]})"
    )


def _silence_worker_advice() -> None:
    """Hide Lightning's advice on loader workers, which would only slow down indexing in memory."""
    message = r"The '\w+_dataloader' does not have many workers"
    warnings.filterwarnings("ignore", message, category=PossibleUserWarning)
