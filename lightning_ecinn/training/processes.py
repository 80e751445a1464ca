"""What several processes of a run know, put together."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

import pytorch_lightning as pl
import torch

__all__ = ["gather", "only_repeats"]


def gather(trainer: pl.Trainer, mine: Any) -> list[Any] | None:
    """What each process has, by rank, on the first process; None on the others.

    Args:
        trainer: whose processes.
        mine: anything that can be pickled.
    """
    if trainer.world_size == 1:
        return [mine]
    parts = [None] * trainer.world_size if trainer.is_global_zero else None
    torch.distributed.gather_object(mine, parts)
    return parts


def only_repeats(trainer: pl.Trainer) -> bool:
    """Whether this process validates or tests no image of its own: there are fewer than processes.

    All processes take the same steps, so it repeats an image that another one has; nothing that it
    finds may count.
    """
    if trainer.world_size == 1 or trainer.training:
        return False
    loader = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
    dataset = getattr(loader, "dataset", None)
    return isinstance(dataset, Sized) and trainer.global_rank >= len(dataset)
