"""Checkpoints of a run that may have been resumed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

__all__ = ["RunCheckpoint"]


class RunCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, with a true last and, after resuming, a true best checkpoint.

    The last checkpoint is saved after every epoch; Lightning saves it only together with a better
    best one. A resumed run has a folder of its own: the best checkpoint so far is copied into it,
    so that "best" is about the whole training and nothing in the first run's folder changes.

    Example:
        >>> checkpoint = RunCheckpoint(monitor="val/accuracy", mode="max", filename="best")
        >>> trainer = pl.Trainer(callbacks=make_callbacks(checkpoint=checkpoint), logger=False)
    """

    _is_fit = True

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Note whether this run trains: only then does it keep checkpoints."""
        super().setup(trainer, pl_module, stage)
        self._is_fit = stage == "fit"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best if this is it, and the last in any case."""
        super().on_train_epoch_end(trainer, pl_module)
        if self.save_last and not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best checkpoint of the run that is resumed, if it is still there."""
        theirs = Path(state_dict["best_model_path"])
        if self.dirpath is None or state_dict["dirpath"] == self.dirpath:
            return super().load_state_dict(state_dict)
        if not self._is_fit or self.save_top_k != 1 or not theirs.is_file():
            return None
        ours = str(Path(self.dirpath) / theirs.name)
        _copy(theirs, Path(ours))
        self.best_model_path = self.kth_best_model_path = ours
        self.best_model_score = self.kth_value = state_dict["best_model_score"]
        self.best_k_models = {ours: state_dict["best_model_score"]}
        return None


@rank_zero_only
def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
