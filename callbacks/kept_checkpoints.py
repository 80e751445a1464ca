"""The checkpoint files of a fit: how they are written, which ones it keeps, and who is told."""

from __future__ import annotations

import os
from collections.abc import Iterable
from weakref import proxy

import pytorch_lightning as pl
from lightning_fabric.utilities.cloud_io import get_filesystem
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from lightning_ecinn.training.checkpoint_files import CheckpointFiles

__all__ = ["checkpoint_callbacks", "kept_files", "named_files", "tell_loggers", "write_whole_files"]


def write_whole_files(trainer: pl.Trainer, files: CheckpointFiles | None = None) -> None:
    """Let the trainer write whole checkpoints, unless its user chose how they are written.

    Args:
        trainer: has a strategy.
        files: by which it reads and writes them; by default new ones.
    """
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = files or CheckpointFiles()


def named_files(trainer: pl.Trainer) -> list[str]:
    """What the checkpoint callbacks name now: all that they compare, the best ones, the last ones.

    The best one of the first callback comes after the others' best ones.
    """
    callbacks = checkpoint_callbacks(trainer)
    compared = [path for callback in callbacks for path in callback.best_k_models]
    best = [callback.best_model_path for callback in reversed(callbacks)]
    last = [callback.last_model_path for callback in callbacks]
    return [path for path in (*compared, *best, *last) if path]


def kept_files(trainer: pl.Trainer, earlier: Iterable[str] = ()) -> list[str]:
    """The files in this run's folders that are kept, each once, in the order of `named_files`.

    Not those of a run that is resumed. Every process gets the first one's answer.

    Args:
        trainer: has fitted.
        earlier: what the callbacks named before: one that compares nothing forgets what it keeps.
    """
    folders = tuple(os.path.join(str(c.dirpath), "") for c in checkpoint_callbacks(trainer))
    found: dict[str, str] = {}
    for path in reversed([*earlier, *named_files(trainer)]):
        if path.startswith(folders) and get_filesystem(path).isfile(path):
            whole = os.path.realpath(path)
            found.setdefault(whole, whole if os.path.islink(path) else path)
    return trainer.strategy.broadcast(list(reversed(found.values())))


def tell_loggers(trainer: pl.Trainer) -> None:
    """Tell loggers of files that have changed since they were saved: some upload them."""
    if not trainer.is_global_zero:
        return
    for callback in checkpoint_callbacks(trainer):
        for logger in trainer.loggers:
            logger.after_save_checkpoint(proxy(callback))


def checkpoint_callbacks(trainer: pl.Trainer) -> list[ModelCheckpoint]:
    """Those that keep files."""
    return [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
