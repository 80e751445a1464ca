"""What only Weights & Biases has: axes, a step slider, tables with pictures, artifacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import wandb
from pytorch_lightning.loggers import WandbLogger

__all__ = [
    "commit",
    "copy_checkpoint",
    "define",
    "is_offline",
    "send_page",
    "send_pictures",
    "send_table",
]

_WAITING: WeakKeyDictionary[WandbLogger, tuple[int, int, dict[str, list[Any]]]] = (
    WeakKeyDictionary()
)
"""By logger: W&B's own step and the trainer's, and the pictures that wait in them."""


def define(logger: WandbLogger, best: Mapping[str, str]) -> None:
    """Draw ``val/...`` over epochs, and keep the best and the last value of metrics.

    Args:
        logger: whose run it is.
        best: "min" or "max" by the metric's name.
    """
    run = logger.experiment
    run.define_metric("epoch")
    run.define_metric("val/*", step_metric="epoch")
    for name, which in best.items():
        over = {"step_metric": "epoch"} if name.startswith("val/") else {}
        run.define_metric(name, summary=f"{which},last", **over)


def send_pictures(logger: WandbLogger, pictures: Mapping[str, Any], step: int) -> None:
    """Add pictures to what is shown of a moment; the step slider moves all of them at once.

    They wait for the next numbers, or for the end of the run.

    Args:
        logger: whose run it is.
        pictures: files, arrays or `wandb.Image` by key, in lists; tables as they are.
        step: the trainer's.
    """
    run = logger.experiment
    own, of_trainer, waiting = _WAITING.get(logger, (-1, -1, {}))
    if own == run.step and of_trainer != step:
        run.log({}, commit=True)
    if (own, of_trainer) != (run.step, step):
        waiting = {}
    for key, value in pictures.items():
        more = [_image(one) for one in value] if isinstance(value, list) else value
        waiting[key] = [*waiting.get(key, []), *more] if isinstance(more, list) else more
    run.log({**{key: waiting[key] for key in pictures}, "trainer/global_step": step}, commit=False)
    _WAITING[logger] = (run.step, step, waiting)


def send_page(logger: WandbLogger, key: str, path: Path, step: int) -> None:
    """Add a page of HTML to what is shown of a moment, without W&B's style sheet.

    Args:
        logger: whose run it is.
        key: where it is shown.
        path: the file.
        step: the trainer's.
    """
    send_pictures(logger, {key: wandb.Html(str(path), inject=False)}, step)


def commit(logger: WandbLogger) -> None:
    """What waits belongs to the past: what comes is of another moment."""
    if logger in _WAITING:
        own, *_ = _WAITING.pop(logger)
        if own == logger.experiment.step:
            logger.experiment.log({}, commit=True)


def send_table(
    logger: WandbLogger,
    section: str,
    rows: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, Sequence[Any]],
    captions: Sequence[str],
    step: int,
) -> None:
    """A table with pictures in its first columns, and the same pictures beside it, one key each.

    The pictures of a table may be missing where a run was offline and is uploaded later.

    Args:
        logger: whose run it is.
        section: the table is ``<section>/table``, pictures are ``<section>/<column>``.
        rows: plain values by column.
        pictures: arrays (H, W, 1 or 3) uint8, one for each row, by column.
        captions: one for each row.
        step: the trainer's.
    """
    images = {
        column: [wandb.Image(one, caption=text) for one, text in zip(shown, captions, strict=True)]
        for column, shown in pictures.items()
    }
    data = [[*shown, *row.values()] for *shown, row in zip(*images.values(), rows, strict=True)]
    table = wandb.Table(columns=[*images, *rows[0]], data=data)
    beside: dict[str, Any] = {f"{section}/{column}": shown for column, shown in images.items()}
    send_pictures(logger, {f"{section}/table": table, **beside}, step)


def is_offline(logger: WandbLogger) -> bool:
    """Whether what is logged stays on this disk, or nowhere."""
    return logger.experiment.settings.mode not in ("online", "shared")


def copy_checkpoint(logger: WandbLogger, path: Path, about: Mapping[str, Any]) -> None:
    """Upload a checkpoint as an artifact of the run, ``model-<id>``, called best and latest.

    Args:
        logger: whose run it is.
        path: of the checkpoint; its file is called model.ckpt, as Lightning's are.
        about: its metrics.
    """
    run = logger.experiment
    artifact = wandb.Artifact(f"model-{run.id}", "model", metadata=dict(about))
    artifact.add_file(str(path), name="model.ckpt")
    run.log_artifact(artifact, aliases=["latest", "best"])


def _image(value: Any) -> wandb.Image:
    return value if isinstance(value, wandb.Image) else wandb.Image(value)
