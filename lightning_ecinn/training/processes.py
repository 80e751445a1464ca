"""What several processes of a run know, put together."""

from __future__ import annotations

from collections.abc import Generator, Sized
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch

__all__ = ["gather", "on_the_first", "only_repeats"]

T = TypeVar("T")


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


def on_the_first(trainer: pl.Trainer, work: Generator[None, None, T]) -> T:
    """What the work of the first process ends with, on every process.

    The others wait for each part of it, from one ``yield`` to the next, so that none waits longer
    than processes have patience, which are 10 minutes on GPUs.

    Args:
        trainer: whose processes.
        work: raises nothing but what ends all of them.
    """
    going, found = True, None
    while going:
        if trainer.is_global_zero:
            try:
                next(work)
            except StopIteration as end:
                going, found = False, end.value
        going, found = trainer.strategy.broadcast((going, found))
    return found  # type: ignore[return-value]


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
