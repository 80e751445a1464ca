"""Samplers of whole batches of indices, for `DataLoader(..., sampler=..., batch_size=None)`.

All are `DistributedSampler`s: on several devices Lightning then leaves them in place, and it tells
them the epoch.
"""

from collections.abc import Iterator, Sized

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DistributedSampler, SequentialSampler

from lightning_ecinn.datamodules.batches.balance import balanced_order
from lightning_ecinn.datamodules.batches.dataset import AugmentedIndices
from lightning_ecinn.datamodules.batches.seeding import (
    BALANCE,
    FLIP,
    ORDER,
    SHIFT,
    random_state,
)
from lightning_ecinn.datamodules.checks import check_any


class TrainBatchSampler(DistributedSampler):
    """Shuffled batches, all of one size; ranks get disjoint ones, and as many each.

    The order depends on (seed, epoch) alone, so a resumed run sees the images as if it had never
    stopped. What is left over after the last full batch is dropped, other images each epoch. Where
    not even one batch per rank is full, each rank gets one smaller batch; where there are fewer
    images than ranks, some get the same image.

    With `classes` every class is drawn equally often, in as many images as there are: then images
    of small classes come several times an epoch, and of large ones other images are left out.

    Args:
        dataset: the training images; only its length is used.
        batch_size: images per batch and rank.
        seed: for the order, the translations and the flips.
        max_shift: translate each image by up to so many pixels each way.
        flip: mirror each image left and right with probability 1/2.
        num_replicas: number of ranks.
        rank: this rank.
        classes: (N,) int64, to draw each of them equally often.

    Raises:
        ValueError: there are no images.
    """

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        seed: int = 0,
        max_shift: int = 0,
        flip: bool = False,
        num_replicas: int = 1,
        rank: int = 0,
        classes: Tensor | None = None,
    ) -> None:
        check_any(len(dataset))
        super().__init__(
            dataset,  # type: ignore[arg-type]
            num_replicas,
            rank,
            shuffle=True,
            seed=seed,
            drop_last=True,
        )
        self.num_images = len(dataset)
        self.batch_size = min(batch_size, max(len(dataset) // num_replicas, 1))
        self.max_shift = max_shift
        self.flip = flip
        self.classes = classes
        self.first = 0
        """Batches at the beginning of the next epoch that are left out, once."""

    def __len__(self) -> int:
        """Return the number of batches of one rank."""
        return max(self.num_images // (self.batch_size * self.num_replicas), 1)

    def __iter__(self) -> Iterator[Tensor | AugmentedIndices]:
        """Yield indices (B,), with translations (B, 2) and flips (B,) where these are asked for."""
        first, self.first = self.first, 0
        order = self._order()
        for step in range(first, len(self)):
            start = (step * self.num_replicas + self.rank) * self.batch_size
            indices = order[(start + torch.arange(self.batch_size)) % self.num_images]
            shifts = self._shifts(step) if self.max_shift else None
            flips = self._flips(step) if self.flip else None
            is_plain = shifts is None and flips is None
            yield indices if is_plain else AugmentedIndices(indices, shifts, flips)

    def _order(self) -> Tensor:
        """Draw the images (N,) of this epoch, the same on every rank."""
        if self.classes is not None:
            return balanced_order(self.classes, self._random_state(BALANCE))
        return torch.from_numpy(self._random_state(ORDER).permutation(self.num_images))

    def _shifts(self, step: int) -> Tensor:
        """Draw translations (B, 2) for one batch."""
        state = self._random_state(SHIFT, step, self.rank)
        size = (self.batch_size, 2)
        return torch.from_numpy(state.randint(-self.max_shift, self.max_shift + 1, size, "int64"))

    def _flips(self, step: int) -> Tensor:
        """Draw flips (B,) for one batch."""
        state = self._random_state(FLIP, step, self.rank)
        return torch.from_numpy(state.randint(0, 2, self.batch_size, "int64")).bool()

    def _random_state(self, stream: int, *key: int) -> np.random.RandomState:
        return random_state(self.seed, stream, self.epoch, *key)


class _InOrder(DistributedSampler, SequentialSampler):
    """Batches that are not shuffled.

    A `SequentialSampler` too: so Lightning's `overfit_batches` sees that nothing is shuffled.
    """

    def __init__(self, dataset: Sized, num_replicas: int, rank: int) -> None:
        check_any(len(dataset))
        DistributedSampler.__init__(
            self,
            dataset,  # type: ignore[arg-type]
            num_replicas,
            rank,
            shuffle=False,
        )


class OrderedBatchSampler(_InOrder):
    """Every index once, in order: rank r of W yields r, r + W, r + 2 W, ...

    Nothing is padded, so sums over ranks count each image once. All ranks yield equally many
    batches, so that collectives per batch meet; the batches of a rank differ by at most one image.
    No batch is empty: where `batch_size` 1 does not come out even, one batch of the longer ranks
    holds two images. Where there are fewer images than ranks, each rank without one repeats
    another's, which whoever counts leaves out (`only_repeats` of `training/processes.py`).

    Args:
        dataset: the images; only its length is used.
        batch_size: the most images per batch and rank.
        num_replicas: number of ranks.
        rank: this rank.

    Raises:
        ValueError: there are no images.
    """

    def __init__(
        self, dataset: Sized, batch_size: int, num_replicas: int = 1, rank: int = 0
    ) -> None:
        super().__init__(dataset, num_replicas, rank)
        self.num_images = len(dataset)
        self.batch_size = batch_size

    def __len__(self) -> int:
        """Return the number of batches, the same on every rank."""
        fewest, rest = divmod(self.num_images, self.num_replicas)
        most = fewest + (rest > 0)
        return min(-(-most // self.batch_size), max(fewest, 1))

    def __iter__(self) -> Iterator[Tensor]:  # type: ignore[override]
        """Yield indices (B,)."""
        indices = torch.arange(self.rank % self.num_images, self.num_images, self.num_replicas)
        yield from indices.tensor_split(len(self))


class WholeBatchSampler(_InOrder):
    """Every index once, in order, in batches that are the same under any number of ranks.

    Rank r of W yields batches r, r + W, ...: what is computed from a batch is the same to the last
    bit, whoever computes it. Some ranks may yield one batch fewer. A rank that has none repeats the
    first, since Lightning leaves out all that a process without batches would do, the end too: who
    puts the results together drops what is there twice.

    Args:
        dataset: the images; only its length is used.
        batch_size: the most images per batch.
        num_replicas: number of ranks.
        rank: this rank.

    Raises:
        ValueError: there are no images.
    """

    def __init__(
        self, dataset: Sized, batch_size: int, num_replicas: int = 1, rank: int = 0
    ) -> None:
        super().__init__(dataset, num_replicas, rank)
        batches = torch.arange(len(dataset)).tensor_split(-(-len(dataset) // batch_size))
        self.batches = batches[rank::num_replicas] or batches[:1]

    def __len__(self) -> int:
        """Return the number of batches of this rank."""
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:  # type: ignore[override]
        """Yield indices (B,)."""
        yield from self.batches
