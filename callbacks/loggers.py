"""The one place that hands pictures, numbers and words to the run's folder and the loggers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from lightning_ecinn.callbacks.new_files import save_new, save_new_text
from lightning_ecinn.callbacks.remarks import going_on, reason_of, remark
from lightning_ecinn.callbacks.weights_and_biases import (
    commit,
    copy_checkpoint,
    define,
    is_offline,
    send_page,
    send_pictures,
    send_table,
)
from lightning_ecinn.figures import as_markdown
from lightning_ecinn.plain_text import plain

__all__ = [
    "SECTIONS",
    "define_axes",
    "end_moment",
    "log_about",
    "log_checkpoint",
    "log_figure",
    "log_numbers",
    "log_page",
    "log_pictures_table",
    "log_step",
    "log_table",
    "outlive_loggers",
]

SECTIONS = ("counterfactuals", "heatmaps", "samples", "latent", "page", "compare", "evaluation")
"""Where loggers show pictures, by the word before the first "-" of their names; else pictures/."""

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
    section: str | None = None,
) -> Path | None:
    """Save a figure as ``<run>/pictures/<name>.png`` and send it to every logger.

    There it is called ``<section>/<name>``. Only the first process does anything. An existing file
    is never overwritten: the new one gets a number. A picture that can't be written, or not sent,
    is remarked upon, and the run goes on.

    Args:
        trainer: knows the folder, the loggers and the step.
        figure: what to save.
        name: says what is shown; in the file's name "-" stands for what can't be in one.
        series: name shared by pictures of the same thing at different steps, under which loggers
            keep them together; by default `name`.
        section: where loggers show it; by default what the name begins with, if that is one of
            `SECTIONS`.

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
    key, step, sent = _key(series or name, section), trainer.global_step, [str(path)]
    _tell(trainer, WandbLogger, lambda one: send_pictures(one, {key: sent}, step))
    _tell(trainer, TensorBoardLogger, lambda one: one.experiment.add_figure(key, figure, step))
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
    step = trainer.global_step
    path = Path(trainer.default_root_dir) / "pictures" / f"{_file_name(name)}.html"
    try:
        path = save_new_text(path, page)
    except Exception as error:
        remark(trainer, reason_of(error))
        return None
    # Without their style sheet, which the page would refuse to load.
    _tell(trainer, WandbLogger, lambda one: send_page(one, f"page/{plain(name)}", path, step))
    return path


def log_pictures_table(
    trainer: pl.Trainer,
    name: str,
    pictures: Mapping[str, Sequence[np.ndarray]],
    rows: Sequence[Mapping[str, Any]],
    captions: Sequence[str],
) -> None:
    """Send rows with pictures to the loggers that show such: Weights & Biases and TensorBoard.

    Args:
        trainer: knows the loggers and the step.
        name: the section where it is shown: the table is ``<name>/table``, the pictures are
            ``<name>/<column>``.
        pictures: (H, W, 3), uint8, one for each row, by column.
        rows: plain values by column.
        captions: one for each row.
    """
    step = trainer.global_step
    cells = [list(rows[0]), *(list(map(str, row.values())) for row in rows)]

    def to_board(logger: TensorBoardLogger) -> None:
        board = logger.experiment
        board.add_text(f"{name}/table", as_markdown(cells), step)
        for column, shown in pictures.items():
            board.add_images(f"{name}/{column}", np.stack(shown), step, dataformats="NHWC")

    _tell(trainer, WandbLogger, lambda one: send_table(one, name, rows, pictures, captions, step))
    _tell(trainer, TensorBoardLogger, to_board)


def log_about(trainer: pl.Trainer, name: str, about: Mapping[str, Any], text: str) -> None:
    """Tell loggers about a run: Weights & Biases in its configuration, TensorBoard as a text.

    Args:
        trainer: knows the loggers.
        name: what it is about, such as "data".
        about: plain values.
        text: the same for a person, in Markdown.
    """
    step = trainer.global_step
    _tell(trainer, WandbLogger, lambda one: one.log_hyperparams(dict(about)))
    _tell(trainer, TensorBoardLogger, lambda one: one.experiment.add_text(name, text, step))


def log_checkpoint(trainer: pl.Trainer, metrics: Mapping[str, float | None]) -> None:
    """Upload the best checkpoint to Weights & Biases, where that is more than a copy on this disk.

    What keeps it from being uploaded is remarked upon.

    Args:
        trainer: knows the loggers and the checkpoint.
        metrics: what is said of it.
    """
    path = getattr(trainer.checkpoint_callback, "best_model_path", None)
    online = [one for one in trainer.loggers if isinstance(one, WandbLogger)]
    if not path or not online:
        lacking = "no Weights & Biases logger" if path else "no checkpoint"
        remark(trainer, f"There is {lacking}, so no checkpoint is uploaded.")
        return

    def upload(logger: WandbLogger) -> None:
        if is_offline(logger):
            remark(trainer, f"Weights & Biases is offline, so {path} is not copied there.")
        else:
            copy_checkpoint(logger, Path(path), metrics)

    _tell(trainer, WandbLogger, upload)


def define_axes(trainer: pl.Trainer) -> None:
    """Let Weights & Biases draw ``val/...`` over epochs and keep the best of the main metrics."""
    checkpoint: Any = trainer.checkpoint_callback
    monitor = getattr(checkpoint, "monitor", None)
    best = {"val/accuracy": "max", **({monitor: checkpoint.mode} if monitor else {})}
    _tell(trainer, WandbLogger, lambda one: define(one, best))


def end_moment(trainer: pl.Trainer) -> None:
    """Pictures so far were of one moment, those to come are of another."""
    _tell(trainer, WandbLogger, commit)


def log_step(trainer: pl.Trainer, numbers: Mapping[str, float]) -> None:
    """Send numbers of the training step just taken to every logger, and to nothing else."""
    values = {**numbers, "epoch": trainer.current_epoch}
    _send(trainer, values, trainer.global_step - 1)  # Lightning counts from 0


def log_numbers(trainer: pl.Trainer, numbers: dict[str, float]) -> None:
    """Send numbers found after the last batch to every logger and to the run's metrics.

    Those that are not finite go to the metrics alone: there they are null.
    """
    trainer.callback_metrics.update({k: torch.tensor(v) for k, v in numbers.items()})
    finite = {plain(k): v for k, v in numbers.items() if math.isfinite(v)}
    _send(trainer, finite, trainer.global_step)


def log_table(trainer: pl.Trainer, rows: Sequence[Sequence[str]], name: str) -> None:
    """Send a table to Weights & Biases, the one logger that shows tables.

    Args:
        trainer: knows the loggers and the step.
        rows: the first one is the heading.
        name: says what is in it.
    """
    columns, *data = map(list, rows)
    step = trainer.global_step
    _tell(trainer, WandbLogger, lambda one: one.log_table(name, columns, data, step=step))


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


def _tell(trainer: pl.Trainer, kind: type[Any], tell: Callable[[Any], object]) -> None:
    """Tell every logger of a kind something, on the first process; one that fails ends no run."""
    for logger in trainer.loggers if trainer.is_global_zero else ():
        if isinstance(logger, kind):
            with going_on(trainer, _failure(logger)):
                tell(logger)


def _send(trainer: pl.Trainer, numbers: Mapping[str, float], step: int) -> None:
    _tell(trainer, Logger, lambda one: (one.log_metrics(numbers, step=step), one.save()))


def _key(name: str, section: str | None) -> str:
    """Such as ``counterfactuals/every-class``."""
    word, _, rest = name.partition("-")
    if section is None:
        section = word if rest and word in SECTIONS else "pictures"
    return f"{section}/{plain(name.removeprefix(f'{section}-'))}"


def _failure(logger: Logger) -> str:
    return f"{type(logger).__name__} fails, so not everything is logged"


def _file_name(name: str) -> str:
    """The name, as short as file systems want it, without what they and terminals understand."""
    text = re.sub(r'[/\\:*?"<>|]', "-", plain(name)).encode()[:200].decode(errors="ignore")
    return text if text.strip(". ") else "picture"
