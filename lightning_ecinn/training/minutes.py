"""How many epochs fit into the minutes that a user has: a few real steps are timed."""

from __future__ import annotations

import copy
import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.seed import isolate_rng

from lightning_ecinn.training.checks import check_positive

__all__ = ["BatchSeconds", "count_epochs", "epochs_within", "time_batches"]

SHARE = 0.85
"""Of the minutes for the epochs; the rest is for class means, pictures and what else comes after
the training."""

WARM_UP = 2
"""Steps that are not timed: in the first ones libraries choose their algorithms."""

FEWEST, MOST = 5, 100
"""Steps that are timed, at least and at most."""

ENOUGH = 3.0
"""Seconds of timed steps after which no more are needed, once there are the fewest."""


class BatchSeconds(NamedTuple):
    """Seconds that a batch takes, in training and in validation."""

    train: float
    val: float


def epochs_within(module: pl.LightningModule, data: pl.LightningDataModule, minutes: float) -> int:
    """How many epochs of a training fit into so many minutes of this machine, at least 1.

    A few steps and one batch of validation are timed, on a copy of the module: neither the module
    nor random numbers nor the data's loaders are changed. A share of the minutes is kept for what
    comes after the training. ``fit --minutes`` does the same, with the trainer's own settings.

    Args:
        module: to be trained, where it is to be trained.
        data: its data, of known length.
        minutes: for the whole training.

    Raises:
        ValueError: minutes is not positive, or nobody knows how long an epoch is.

    Example:
        >>> data = MNIST(source="sample", val_size=29_900, batch_size=50)
        >>> module = IBINN((1, 28, 28), 10, blocks=[0, 0], widths=[4, 4], fc_blocks=0)
        >>> epochs_within(module, data, minutes=1) > 1
        True
    """
    check_positive(minutes=minutes)
    started = time.monotonic()
    data.prepare_data()
    data.setup("fit")
    batch = time_batches(module, data, accelerator=module.device.type)
    numbers = len(data.train_dataloader()), _length(data.val_dataloader())
    seconds = numbers[0] * batch.train + numbers[1] * batch.val
    return count_epochs(minutes, seconds, time.monotonic() - started)


def count_epochs(minutes: float, seconds: float, spent: float = 0.0) -> int:
    """Epochs of so many seconds that fit into their share of the minutes, at least 1.

    Args:
        minutes: for all.
        seconds: of an epoch.
        spent: seconds of the minutes that have gone already.
    """
    left = SHARE * 60 * minutes - spent
    return max(int(left / max(seconds, 1e-9)), 1)


def time_batches(
    module: pl.LightningModule, data: pl.LightningDataModule, **trainer: Any
) -> BatchSeconds:
    """Time a few training steps and a validation batch, by a trainer of its own on a copy.

    Where a critic joins the training later, its steps are timed too: the average counts.

    Args:
        module: is copied.
        data: has been set up.
        **trainer: settings of a :class:`pytorch_lightning.Trainer` that make steps slow or fast.
    """
    batch = _timed(module, data, trainer, with_critic=False)
    if (realism := getattr(module, "realism", None)) is None:
        return batch
    begins = realism.settings.realism_from
    slower = _timed(module, data, trainer, with_critic=True)
    return batch._replace(train=begins * batch.train + (1 - begins) * slower.train)


def _timed(
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    trainer: dict[str, Any],
    *,
    with_critic: bool,
) -> BatchSeconds:
    watch = _Stopwatch()
    # Not the trainer that the module may have, nor what hangs on it.
    duplicate: Any = copy.deepcopy(module, {id(module._trainer): None})
    if with_critic:
        duplicate.realism.from_the_start()
    with _unnoticed():
        pl.Trainer(
            **{"devices": 1, "plugins": [LightningEnvironment()], **trainer},
            max_epochs=-1,
            max_steps=WARM_UP + MOST,
            limit_val_batches=WARM_UP,
            num_sanity_val_steps=0,
            callbacks=[watch],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(duplicate, data.train_dataloader(), data.val_dataloader() or None)
    return watch.seconds()


class _Stopwatch(pl.Callback):
    """Times each batch, and stops when that was enough."""

    def __init__(self) -> None:
        self._since = math.nan
        self._train: list[float] = []
        self._val: list[float] = []

    def seconds(self) -> BatchSeconds:
        """Averages of training, the last of validation."""
        timed = self._train[WARM_UP:] or self._train
        return BatchSeconds(sum(timed) / max(len(timed), 1), self._val[-1] if self._val else 0.0)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = _now(pl_module)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        now = _now(pl_module)
        self._train.append(now - self._since)
        self._since = now
        timed = self._train[WARM_UP:]
        trainer.should_stop = len(timed) >= FEWEST and sum(timed) >= ENOUGH

    def on_validation_batch_start(self, *arguments: Any, **more: Any) -> None:
        self._since = time.monotonic()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *arguments: Any, **more: Any
    ) -> None:
        now = _now(pl_module)
        self._val.append(now - self._since)
        self._since = now


def _now(module: pl.LightningModule) -> float:
    """Seconds, when the device has done what it was told to do."""
    if module.device.type == "cuda":
        torch.cuda.synchronize(module.device)
    return time.monotonic()


@contextmanager
def _unnoticed() -> Iterator[None]:
    """Nothing is said, and random numbers are afterwards what they were."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with isolate_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _length(loader: Any) -> int:
    """Batches of a loader, or of a list of them."""
    return sum(map(len, loader)) if isinstance(loader, list | tuple) else len(loader)
