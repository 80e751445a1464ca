"""The one place that hands pictures and their numbers to the run's folder and the loggers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

__all__ = ["find_free_path", "log_figure", "log_numbers", "log_table"]


def log_figure(
    trainer: pl.Trainer, figure: Figure, name: str, series: str | None = None
) -> Path | None:
    """Save a figure as ``<run>/pictures/<name>.png`` and send it to every logger.

    Only the first process does anything. An existing file is never overwritten: the new one gets
    a number.

    Args:
        trainer: knows the folder, the loggers and the step.
        figure: what to save.
        name: says what is shown.
        series: name shared by pictures of the same thing at different steps, under which loggers
            keep them together; by default `name`.

    Returns:
        Where the picture lies; None on other processes.
    """
    if not trainer.is_global_zero:
        return None
    path = find_free_path(Path(trainer.default_root_dir) / "pictures" / f"{name}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    key = f"pictures/{series or name}"
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(key, [str(path)], step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(key, figure, trainer.global_step)
    return path


def log_numbers(trainer: pl.Trainer, numbers: dict[str, float]) -> None:
    """Send numbers found after the last batch to every logger and to the run's metrics."""
    trainer.callback_metrics.update({k: torch.tensor(v) for k, v in numbers.items()})
    for logger in trainer.loggers:
        logger.log_metrics(numbers, step=trainer.global_step)
        logger.save()


def log_table(trainer: pl.Trainer, rows: Sequence[Sequence[str]], name: str) -> None:
    """Send a table to Weights & Biases, the one logger that shows tables.

    Args:
        trainer: knows the loggers and the step.
        rows: the first one is the heading.
        name: says what is in it.
    """
    columns, *data = map(list, rows)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_table(name, columns=columns, data=data, step=trainer.global_step)


def find_free_path(path: Path) -> Path:
    """The path itself, or with -2, -3, ... before its suffix if it is taken."""
    candidate, number = path, 2
    while candidate.exists():
        candidate = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return candidate
