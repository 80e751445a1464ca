"""The judge's file: beside the checkpoints of a run, where a run that goes on finds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.callbacks.kept_checkpoints import checkpoint_callbacks
from lightning_ecinn.callbacks.new_files import save_new
from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.models import GenerativeClassifier, Network, load_network
from lightning_ecinn.training import SmallCNN
from lightning_ecinn.training.shared import checkpoint_of

__all__ = ["JUDGE", "earlier_judge", "keep_judge"]

JUDGE = "judge.ckpt"
"""What it is called."""


def keep_judge(trainer: pl.Trainer, judge: SmallCNN) -> None:
    """Write it where the run keeps its checkpoints, if it keeps any; no file is replaced."""
    folder = _folder(trainer)
    if folder is None:
        return
    checkpoint = checkpoint_of(judge)
    with going_on(trainer, f"{JUDGE} could not be written"):
        save_new(folder / JUDGE, lambda file: torch.save(checkpoint, file))


def earlier_judge(trainer: pl.Trainer, classifier: GenerativeClassifier) -> Network | None:
    """The judge of a run that goes on, if it knows the same images and classes; copied, and said.

    It is on the CPU, in evaluation mode.
    """
    if trainer.ckpt_path is None:
        return None
    for path in _judges(trainer):
        try:
            network = load_network(path)
        except (OSError, ValueError):  # none there, or one of something else
            continue
        ours, theirs = ((one.image_shape, one.class_names) for one in (classifier, network))
        if ours == theirs:
            rank_zero_info(f"The judge is the one in {path}")
            _copy_beside(trainer, path)
            return network
    return None


def _copy_beside(trainer: pl.Trainer, path: Path) -> None:
    """Let this run's checkpoints have it beside them too."""
    folder = _folder(trainer)
    if folder is not None and path.parent.resolve() != folder.resolve():
        with going_on(trainer, f"{JUDGE} could not be copied"):
            content = path.read_bytes()
            save_new(folder / JUDGE, lambda file: file.write(content))


def _judges(trainer: pl.Trainer) -> Iterator[Path]:
    folders = (_folder(trainer), Path(str(trainer.ckpt_path)).parent)
    return (folder / JUDGE for folder in folders if folder is not None)


def _folder(trainer: pl.Trainer) -> Path | None:
    """Where the run keeps its checkpoints, if it keeps any."""
    folders = [Path(str(one.dirpath)) for one in checkpoint_callbacks(trainer) if one.dirpath]
    return folders[0] if folders else None
