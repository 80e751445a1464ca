"""Which images are held out."""

import torch
from torch import Tensor

from lightning_ecinn.datamodules.batches.seeding import SPLIT, random_state
from lightning_ecinn.datamodules.checks import SPLITS, SplitName


def hold_out(split: Tensor, labels: Tensor, into: SplitName, count: int, seed: int) -> Tensor:
    """Move `count` training images into another split so that every class keeps its share.

    Args:
        split: (N,) int64, each image's position in `SPLITS`.
        labels: (N,) int64.
        into: the split to fill.
        count: how many to move, at most as many as there are training images.
        seed: the choice depends on it and on the training images' labels alone.

    Returns:
        The new split (N,).
    """
    train = (split == SPLITS.index("train")).nonzero().flatten()
    _, chosen = stratified_split(labels[train], count, seed)
    return split.index_fill(0, train[chosen], SPLITS.index(into))


def stratified_split(labels: Tensor, held_out: int, seed: int) -> tuple[Tensor, Tensor]:
    """Choose `held_out` images so that every class keeps its share, to within one image.

    The images are shuffled, ordered by class, and taken at equal distances from that line.

    Args:
        labels: (N,) int64.
        held_out: how many to hold out, at most N.
        seed: the choice depends on it and on the labels alone.

    Returns:
        Indices (N - held_out,) that stay and (held_out,) that are held out, both ascending.
    """
    shuffled = torch.from_numpy(random_state(seed, SPLIT).permutation(len(labels)))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    positions = (2 * torch.arange(held_out) + 1) * len(labels) // (2 * max(held_out, 1))
    is_held_out = torch.zeros(len(labels), dtype=torch.bool)
    is_held_out[by_class[positions]] = True
    return (~is_held_out).nonzero().flatten(), is_held_out.nonzero().flatten()
