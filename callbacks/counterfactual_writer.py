"""What `predict` leaves: the counterfactuals of a data split in one compressed file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter
from pytorch_lightning.utilities import rank_zero_info

from callbacks.media import free_path
from lightning_ecinn.counterfactuals import Counterfactual

__all__ = ["CounterfactualWriter"]


class CounterfactualWriter(BasePredictionWriter):
    """Write ``<run>/counterfactuals.npz`` after `predict`, complete under several processes.

    Arrays, N images in the order of the split and T targets: ``inputs`` uint8 (N, C, H, W),
    ``sources`` (N,), ``targets`` (N, T), ``alphas`` (N, T), ``pictures`` uint8 (N, T, C, H, W),
    ``posteriors`` (N, T) of the target at the counterfactual's latent, ``defined`` (N, T),
    ``class_names`` (K,).

    Args:
        filename: name of the file in the run's folder.
    """

    def __init__(self, filename: str = "counterfactuals.npz"):
        super().__init__(write_interval="batch")
        self.filename = filename
        self._parts: list[dict[str, np.ndarray]] = []

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget an earlier prediction."""
        self._parts = []

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Counterfactual,
        batch_indices: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Keep what is written of a batch, as small arrays."""
        if isinstance(prediction, Counterfactual):
            self._parts.append(_arrays(prediction))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Each process leaves its part; the first one puts them together."""
        path = Path(trainer.strategy.broadcast(trainer.default_root_dir)) / self.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        keys = self._parts[0] if self._parts else {}
        mine = {key: np.concatenate([part[key] for part in self._parts]) for key in keys}
        self._parts = []
        if trainer.world_size > 1:
            np.savez(_part_path(path, trainer.global_rank), **mine)  # type: ignore[arg-type]
            trainer.strategy.barrier("parts written")
        if trainer.is_global_zero:
            if trainer.world_size > 1:
                mine = _interleaved(path, trainer.world_size)
            if mine:
                count, path = len(mine["inputs"]), free_path(path)
                mine["class_names"] = np.array(pl_module.explainer.class_names)  # type: ignore
                np.savez_compressed(path, **mine)  # type: ignore[arg-type]
                rank_zero_info(f"Wrote the counterfactuals of {count} images to {path}")
        trainer.strategy.barrier("counterfactuals written")


def _arrays(cf: Counterfactual) -> dict[str, np.ndarray]:
    return {
        "inputs": _to_uint8(cf.input[:, 0]),
        "sources": cf.source[:, 0].cpu().numpy(),
        "targets": cf.target.cpu().numpy(),
        "alphas": cf.alpha.cpu().numpy(),
        "pictures": _to_uint8(cf.image),
        "posteriors": cf.target_posterior.cpu().numpy(),
        "defined": cf.defined.cpu().numpy(),
    }


def _to_uint8(images: torch.Tensor) -> np.ndarray:
    return (images * 255).round().to(torch.uint8).cpu().numpy()


def _part_path(path: Path, rank: int) -> Path:
    return path.with_name(f".{path.stem}-part{rank}.npz")


def _interleaved(path: Path, world: int) -> dict[str, np.ndarray]:
    """The parts in the order of the split: process r has images r, r + world, ..."""
    parts = [dict(np.load(_part_path(path, rank))) for rank in range(world)]
    total = sum(len(part["inputs"]) for part in parts if part)
    merged = {}
    for key, first in parts[0].items():
        merged[key] = np.empty((total, *first.shape[1:]), first.dtype)
        for rank, part in enumerate(parts):
            if part:  # there may be fewer images than processes
                merged[key][rank::world] = part[key]
    for rank in range(world):
        _part_path(path, rank).unlink()
    return merged
