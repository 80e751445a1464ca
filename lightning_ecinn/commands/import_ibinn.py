"""The subcommand `import-ibinn`: a checkpoint of the published code becomes one of ours."""

from __future__ import annotations

from dataclasses import dataclass

import pytorch_lightning as pl

from lightning_ecinn.commands.means import build_means, find_free_file, save_module
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.checkpoint_files import CheckpointFiles

__all__ = ["ImportSettings", "import_checkpoint"]


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """What `import-ibinn` makes of a published checkpoint.

    Args:
        out: file to write; by default checkpoints/best.ckpt in the run's folder.
        means: build the class means from the training images.
        batch_norm: re-estimate the batch-norm statistics instead of keeping the file's.
    """

    out: str | None = None
    means: bool = True
    batch_norm: bool = False


def import_checkpoint(
    trainer: pl.Trainer,
    path: str,
    model: IBINN,
    datamodule: pl.LightningDataModule | None,
    settings: ImportSettings,
    files: CheckpointFiles,
) -> None:
    """Turn a checkpoint of the published IB-INN code into one of this project.

    Args:
        trainer: for the means.
        path: the published code's checkpoint.
        model: the module, of the same network.
        datamodule: the training images.
        settings: what is done with it.
        files: reads the checkpoint.

    Raises:
        ValueError: for images or classes that are not the data's.
    """
    target = find_free_file(trainer, settings.out)
    published = files.look_published(path)
    for key in ("image_shape", "num_classes"):
        theirs, ours = published.network[key], model.classifier.config[key]
        if theirs != ours:
            raise ValueError(
                f"The network in {path} has {key} {theirs}, but the data's is {ours}: give the "
                "configuration of the data it was trained on."
            )
    published.load_into(model.classifier)
    if settings.means:
        build_means(trainer, model, datamodule, None, settings.batch_norm)
    save_module(trainer, model, target)
