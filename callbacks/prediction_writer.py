"""What `predict` leaves: one compressed file of arrays, complete under several processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.callbacks.loggers import find_free_path
from lightning_ecinn.training.processes import gather

__all__ = ["PredictionWriter"]


class PredictionWriter(BasePredictionWriter):
    """Write the arrays of every batch, joined in the order of the split, and the class names.

    A subclass says which arrays it makes of a prediction. Where it makes none, nothing is written.

    Args:
        filename: name of the file in the run's folder.
    """

    content: ClassVar[str]
    """What is written, as the user is told."""

    def __init__(self, filename: str):
        super().__init__(write_interval="batch")
        self.filename = filename
        self._parts: list[dict[str, np.ndarray]] = []

    def arrays(self, prediction: Any) -> dict[str, np.ndarray] | None:
        """The arrays of a batch, (B, ...) each; None for a prediction of another kind."""
        raise NotImplementedError

    def class_names(self, pl_module: pl.LightningModule) -> tuple[str, ...]:
        """One name per class."""
        raise NotImplementedError

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget an earlier prediction."""
        self._parts = []

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Any,
        batch_indices: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Keep what is written of a batch, as small arrays."""
        if (arrays := self.arrays(prediction)) is not None:
            self._parts.append(arrays)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first process puts the parts of all together."""
        keys = self._parts[0] if self._parts else {}
        mine = {key: np.concatenate([part[key] for part in self._parts]) for key in keys}
        self._parts = []
        parts = gather(trainer, mine)
        if parts is not None and (arrays := _interleaved(parts)):
            path = find_free_path(Path(trainer.default_root_dir) / self.filename)
            path.parent.mkdir(parents=True, exist_ok=True)
            count = _count(arrays)
            arrays["class_names"] = np.array(self.class_names(pl_module))
            np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
            rank_zero_info(f"Wrote the {self.content} of {count} images to {path}")
        trainer.strategy.barrier(f"{self.content} written")


def _count(arrays: dict[str, np.ndarray]) -> int:
    """How many images the arrays are of."""
    return len(next(iter(arrays.values()), ()))


def _interleaved(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The parts in the order of the split: of W processes, number r has images r, r + W, ..."""
    total = sum(_count(part) for part in parts)
    merged = {}
    for key, first in parts[0].items():
        merged[key] = np.empty((total, *first.shape[1:]), first.dtype)
        for rank, part in enumerate(parts):
            if part:  # there may be fewer images than processes
                merged[key][rank :: len(parts)] = part[key]
    return merged
