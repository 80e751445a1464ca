"""Which images are held out."""

import torch
from torch import Tensor

from datamodules.seeding import SPLIT, random_state


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
