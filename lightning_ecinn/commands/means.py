"""The subcommand `means`: class means for a checkpoint that has none, or others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from lightning_ecinn.blackbox import AskedOptions
from lightning_ecinn.callbacks import BuildClassMeans
from lightning_ecinn.commands.asked import explained_by_checkpoint
from lightning_ecinn.runs import CONFIG
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.checkpoint_files import CheckpointFiles
from lightning_ecinn.training.shared import checkpoint_of
from lightning_ecinn.whole_files import WriteError, write_whole

__all__ = [
    "MeansSettings",
    "build_means",
    "find_free_file",
    "save_asked",
    "save_module",
    "save_with_means",
]


@dataclass(frozen=True, kw_only=True)
class MeansSettings(AskedOptions):
    """What `means` writes.

    Args:
        out: file to write; by default checkpoints/best.ckpt in the run's folder.
        batch_norm: re-estimate the batch-norm statistics before.
    """

    out: str | None = None
    batch_norm: bool = False

    def __post_init__(self) -> None:
        self.check()
        if self.classifier is not None and self.batch_norm:
            raise ValueError(
                "--batch_norm belongs to the network's own class means, and --classifier asks for "
                "another classifier's: leave one of them out."
            )


def save_with_means(
    trainer: pl.Trainer,
    model: IBINN,
    datamodule: pl.LightningDataModule | None,
    ckpt_path: str | None,
    settings: MeansSettings,
) -> None:
    """Build the class means of a checkpoint, from the training images, and save it anew."""
    path = find_free_file(trainer, settings.out)
    build_means(trainer, model, datamodule, ckpt_path, settings.batch_norm)
    save_module(trainer, model, path)


def save_asked(
    trainer: pl.Trainer,
    model: pl.LightningModule,
    datamodule: pl.LightningDataModule | None,
    ckpt_path: str | None,
    settings: MeansSettings,
    files: CheckpointFiles,
) -> None:
    """Build the class means of another classifier, and save them with the flow."""
    path = find_free_file(trainer, settings.out)
    # A checkpoint that holds some already gets new ones.
    explainer = explained_by_checkpoint(
        trainer, model, datamodule, ckpt_path, settings, files, anew=True
    )
    if trainer.is_global_zero:
        explainer.save(path)
        rank_zero_info(f"Wrote {path}")
        _leave_configuration(Path(trainer.default_root_dir), path)


def build_means(
    trainer: pl.Trainer,
    model: IBINN,
    datamodule: pl.LightningDataModule | None,
    ckpt_path: str | None,
    batch_norm: bool,
) -> None:
    """Build the class means after a validation, which sets up data, devices and processes.

    Raises:
        ValueError: for an ordinary network.
    """
    if not isinstance(model, IBINN):
        raise ValueError(
            "Class means need a generative classifier, model.class_path IBINN, got "
            f"{type(model).__name__}."
        )
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    chosen = [c.significance for c in callbacks if isinstance(c, BuildClassMeans)]
    callbacks.append(_BuildNow(BuildClassMeans(batch_norm, chosen[0] if chosen else None)))
    try:
        trainer.validate(model, datamodule=datamodule, ckpt_path=ckpt_path)
    finally:
        callbacks.pop()


def find_free_file(trainer: pl.Trainer, out: str | None) -> Path:
    """Where a checkpoint will be written; looked at before anything is computed.

    Raises:
        ValueError: there is something already, or a file of this name can't be written there.
    """
    path = Path(out or Path(trainer.default_root_dir) / "checkpoints" / "best.ckpt").expanduser()
    if path.is_dir():
        raise ValueError(f"--out {path}: this is a folder. Give the name of a new file in it.")
    if path.exists():
        raise ValueError(f"--out {path}: this file exists already. Give another name.")
    if path.suffix != ".ckpt":
        raise ValueError(f"--out {path}: give a name that ends in .ckpt, as checkpoints have.")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise ValueError(f"--out {path}: {above} is a file, not a folder. Give another name.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ValueError(f"--out {path}: nothing can be written in {above}. Give another folder.")
    return path


def save_module(trainer: pl.Trainer, model: IBINN, path: Path) -> None:
    """Write a checkpoint of the module as it is, from the first process.

    Raises:
        WriteError: it can't be written; nothing of it is left.
    """
    if not trainer.is_global_zero:
        return
    checkpoint = checkpoint_of(model)
    with write_whole(path) as file:
        torch.save(checkpoint, file)
    rank_zero_info(f"Wrote {path}")
    _leave_configuration(Path(trainer.default_root_dir), path)


def _leave_configuration(folder: Path, path: Path) -> None:
    """Beside a checkpoint outside the run's folder, so that the checkpoint is enough."""
    configuration, beside = folder / CONFIG, path.with_suffix(f".{CONFIG}")
    is_written = configuration.is_file() and configuration.stat().st_size > 0
    if is_written and folder not in path.absolute().parents and not beside.exists():
        try:
            with write_whole(beside) as file:
                file.write(configuration.read_bytes())
        except WriteError as error:
            rank_zero_warn(
                f"{error} The checkpoint itself is whole; {configuration} belongs to it."
            )


class _BuildNow(pl.Callback):
    """Class means after a validation."""

    def __init__(self, builder: BuildClassMeans):
        self.builder = builder

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Build, with the device and the processes of the validation."""
        assert isinstance(pl_module, IBINN)
        self.builder.build(trainer, pl_module)
