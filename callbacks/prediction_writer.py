"""What `predict` leaves: one compressed file of arrays, complete under several processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.callbacks.new_files import save_new
from lightning_ecinn.callbacks.remarks import reason_of, remark
from lightning_ecinn.training.processes import gather

__all__ = ["PredictionWriter", "others_waiting"]

_PLACE = "place"
"""Name of an array (B, 2) beside those that are written: number of the loader, and in it."""


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
            before = sum(map(_count, self._parts))
            numbers = _numbers(trainer, batch, before, _count(arrays))
            place = np.stack((np.full_like(numbers, dataloader_idx), numbers), axis=1)
            self._parts.append({**arrays, _PLACE: place})

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first process puts the parts of all together; the others wait, fail it or not.

        Raises:
            WriteError: the file can't be written, and the predictions are nowhere else.
        """
        parts = gather(trainer, _joined(self._parts))
        self._parts = []
        with others_waiting(trainer, f"{self.content} written"):
            if parts is not None and (arrays := _in_order(parts)):
                self._report(trainer, arrays, self.class_names(pl_module))

    def missing(self, arrays: dict[str, np.ndarray]) -> tuple[str, bool]:
        """One sentence on what could not be predicted, or "", and whether that is everything."""
        raise NotImplementedError

    def _report(
        self, trainer: pl.Trainer, arrays: dict[str, np.ndarray], class_names: tuple[str, ...]
    ) -> None:
        """Write the file; say where it lies, and what is not in it."""
        text, is_empty = self.missing(arrays)
        if text:
            remark(trainer, text, fails=is_empty)
        path = Path(trainer.default_root_dir) / self.filename
        content: dict[str, Any] = {**arrays, "class_names": np.array(class_names)}
        try:
            path = save_new(path, lambda file: np.savez_compressed(file, **content))
        except OSError as error:
            if not trainer.predict_loop.return_predictions:
                raise
            remark(trainer, reason_of(error), fails=True)
        else:
            rank_zero_info(f"Wrote the {self.content} of {_count(arrays)} images to {path}")


@contextmanager
def others_waiting(trainer: pl.Trainer, what: str) -> Iterator[None]:
    """The first process does something meanwhile; that it fails leaves no other one waiting."""
    try:
        yield
    except Exception:
        trainer.strategy.barrier(what)
        raise
    trainer.strategy.barrier(what)


def _count(arrays: dict[str, np.ndarray]) -> int:
    """How many images the arrays are of."""
    return len(next(iter(arrays.values()), ()))


def _numbers(trainer: pl.Trainer, batch: Any, before: int, count: int) -> np.ndarray:
    """The numbers (B,) of a batch's images in the split, of which this process had some before.

    Our batches say them; of other loaders, number r of W processes has images r, r + W, ...
    """
    if (indices := getattr(batch, "indices", None)) is not None:
        return indices.cpu().numpy()
    return trainer.global_rank + trainer.world_size * np.arange(before, before + count)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One array of each name; none of no parts."""
    keys = parts[0] if parts else {}
    return {key: np.concatenate([part[key] for part in parts]) for key in keys}


def _in_order(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The parts of all processes in the order of the split, what is there twice once."""
    arrays = _joined([part for part in parts if part])
    if not arrays:
        return {}
    _, order = np.unique(arrays.pop(_PLACE), axis=0, return_index=True)
    return {key: values[order] for key, values in arrays.items()}
