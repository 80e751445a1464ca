"""What several processes of a run know, put together."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

__all__ = ["gather"]


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
