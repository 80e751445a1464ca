"""How many steps a training has left, and how many images each of them sees."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from pytorch_lightning.utilities import rank_zero_info

__all__ = ["count_steps_left", "say_images_per_step"]


def count_steps_left(trainer: pl.Trainer) -> float:
    """Steps of the optimiser from where the trainer is to the end; infinity if none is known.

    Lightning's own ``estimated_stepping_batches`` counts as if all of a resumed training had been
    done with today's batches.
    """
    loop = trainer.fit_loop
    left = math.inf if loop.max_steps == -1 else max(loop.max_steps - trainer.global_step, 0)
    if trainer.limit_train_batches == 0:
        return 0
    if trainer.max_epochs in (None, -1):
        return left
    loop.setup_data()
    batches = trainer.num_training_batches
    if math.isinf(batches):
        return left
    epochs, seen = _position(loop, int(batches))
    every = _accumulated(trainer)
    last = range(epochs, trainer.max_epochs)  # type: ignore[arg-type]
    count = sum(math.ceil(batches / every(epoch)) for epoch in last)
    done = math.ceil(seen / every(epochs)) if seen == batches else seen // every(epochs)
    return min(left, max(count - done, 0))


def say_images_per_step(trainer: pl.Trainer) -> None:
    """Say in one line how many images, over processes and batches, a step of the optimiser sees."""
    if trainer.limit_train_batches == 0:
        return
    trainer.fit_loop.setup_data()
    size = _batch_size(trainer.train_dataloader)
    batches = _accumulated(trainer)(trainer.current_epoch)
    parts = [(trainer.world_size, "process", "processes"), (batches, "batch", "batches")]
    several = [f"{n} {one if n == 1 else many}" for n, one, many in parts]
    if size is None:
        rank_zero_info(
            f"Each step sees {' x '.join(several)}; how many images a batch has is not known."
        )
        return
    images = f"{size} image{'s' * (size > 1)}"
    total = size * trainer.world_size * batches
    product = f"{several[0]} x {images} x {several[1]} = {total} images"
    rank_zero_info(f"Each step sees {product if total > size else images}.")


def _position(loop: Any, batches: int) -> tuple[int, int]:
    """Whole epochs, and batches of the next one, after which Lightning's loop will go on."""
    epochs, progress = loop.epoch_progress.current, loop.epoch_loop.batch_progress
    if epochs.ready == epochs.processed:
        return epochs.processed, 0
    seen = progress.current.processed
    if progress.current.completed == seen:  # saved in an evaluation
        return epochs.processed, min(seen, batches)
    # Saved after a step. Where the batches are fewer now, the epoch begins again.
    return epochs.processed + progress.is_last_batch, seen if seen < batches else 0


def _accumulated(trainer: pl.Trainer) -> Callable[[int], int]:
    """How many batches make a step, by epoch."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, GradientAccumulationScheduler):
            return callback.get_accumulate_grad_batches
    return lambda epoch: trainer.accumulate_grad_batches


def _batch_size(loader: Any) -> int | None:
    """Images per batch of one loader, whoever makes its batches."""
    for part in (loader, *(getattr(loader, name, None) for name in ("batch_sampler", "sampler"))):
        if isinstance(size := getattr(part, "batch_size", None), int):
            return size
    return None
