"""The one place that hands pictures and their numbers to the run's folder and the loggers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from lightning_ecinn.callbacks.new_files import save_new, save_new_text
from lightning_ecinn.callbacks.remarks import going_on, reason_of, remark
from lightning_ecinn.plain_text import plain

__all__ = ["log_figure", "log_numbers", "log_page", "log_table", "outlive_loggers"]

_CALLS = (
    "log_hyperparams", "log_metrics", "log_graph", "log_image", "log_table",
    "save", "after_save_checkpoint", "finalize",
)  # fmt: skip
"""What Lightning and we call of loggers while a run goes on."""


def log_figure(
    trainer: pl.Trainer,
    figure: Figure,
    name: str,
    series: str | None = None,
    group: str = "pictures",
) -> Path | None:
    """Save a figure as ``<run>/pictures/<name>.png`` and send it to every logger.

    Only the first process does anything. An existing file is never overwritten: the new one gets
    a number. A picture that can't be written, or not sent, is remarked upon, and the run goes on.

    Args:
        trainer: knows the folder, the loggers and the step.
        figure: what to save.
        name: says what is shown; in the file's name "-" stands for what can't be in one.
        series: name shared by pictures of the same thing at different steps, under which loggers
            keep them together; by default `name`.
        group: what loggers' keys begin with, before a "/".

    Returns:
        Where the picture lies; None on other processes, and where it could not be written.
    """
    if not trainer.is_global_zero:
        return None
    path = Path(trainer.default_root_dir) / "pictures" / f"{_file_name(name)}.png"
    try:
        path = save_new(path, partial(figure.savefig, format="png"))
    except Exception as error:
        remark(trainer, reason_of(error))
        return None
    key = f"{group}/{plain(series or name)}"
    for logger in trainer.loggers:
        with going_on(trainer, _failure(logger)):
            if isinstance(logger, WandbLogger):
                logger.log_image(key, [str(path)], step=trainer.global_step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(key, figure, trainer.global_step)
    return path


def log_page(trainer: pl.Trainer, page: str, name: str) -> Path | None:
    """Save a page of HTML as ``<run>/pictures/<name>.html``, and send it to Weights & Biases.

    That is the one logger that shows pages. As for :func:`log_figure`, only the first process does
    anything, nothing is overwritten, and failures are remarked upon.

    Returns:
        Where the page lies; None on other processes, and where it could not be written.
    """
    if not trainer.is_global_zero:
        return None
    path = Path(trainer.default_root_dir) / "pictures" / f"{_file_name(name)}.html"
    try:
        path = save_new_text(path, page)
    except Exception as error:
        remark(trainer, reason_of(error))
        return None
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            with going_on(trainer, _failure(logger)):
                import wandb  # there is such a logger only where it is installed

                # Without their style sheet, which the page would refuse to load.
                html = wandb.Html(str(path), inject=False)
                logger.log_metrics({f"page/{plain(name)}": html}, step=trainer.global_step)  # type: ignore[dict-item]
    return path


def log_numbers(trainer: pl.Trainer, numbers: dict[str, float]) -> None:
    """Send numbers found after the last batch to every logger and to the run's metrics.

    Those that are not finite go to the metrics alone: there they are null.
    """
    trainer.callback_metrics.update({k: torch.tensor(v) for k, v in numbers.items()})
    finite = {plain(k): v for k, v in numbers.items() if math.isfinite(v)}
    for logger in trainer.loggers:
        with going_on(trainer, _failure(logger)):
            logger.log_metrics(finite, step=trainer.global_step)
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
            with going_on(trainer, _failure(logger)):
                logger.log_table(name, columns=columns, data=data, step=trainer.global_step)


def outlive_loggers(trainer: pl.Trainer) -> None:
    """From now on a logger that fails, for want of a network or a disk, ends no run.

    Its first failure is remarked upon. It is asked again the next time.
    """
    for logger in trainer.loggers:
        has_failed: list[bool] = []
        for name in _CALLS:
            call = getattr(logger, name, None)
            if isinstance(call, _Outlived):
                call = call.call
            if call is not None:
                setattr(logger, name, _Outlived(trainer, logger, call, has_failed))


class _Outlived:
    """A logger's method that fails without an exception."""

    def __init__(self, trainer: pl.Trainer, logger: Logger, call: Any, has_failed: list[bool]):
        self.trainer = trainer
        self.logger = logger
        self.call = call
        self.has_failed = has_failed
        """Not empty once any method of the logger has."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.call(*args, **kwargs)
        except Exception as error:
            if not self.has_failed:
                remark(self.trainer, f"{_failure(self.logger)}: {reason_of(error)}")
            self.has_failed.append(True)
            return None


def _failure(logger: Logger) -> str:
    return f"{type(logger).__name__} fails, so not everything is logged"


def _file_name(name: str) -> str:
    """The name, as short as file systems want it, without what they and terminals understand."""
    text = re.sub(r'[/\\:*?"<>|]', "-", plain(name)).encode()[:200].decode(errors="ignore")
    return text if text.strip(". ") else "picture"
