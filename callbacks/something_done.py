"""A command that would do nothing says so, in place of a success that is none."""

from __future__ import annotations

import pytorch_lightning as pl

from lightning_ecinn.callbacks.remarks import remark

__all__ = ["SomethingDone"]

_LIMITS = {
    "fit": ("limit_train_batches", "max_epochs", "max_steps"),
    "validate": ("limit_val_batches",),
    "test": ("limit_test_batches",),
    "predict": ("limit_predict_batches",),
}
_DONE = {"fit": "trained", "validate": "validated", "test": "tested", "predict": "predicted"}


class SomethingDone(pl.Callback):
    """Refuse to train, validate, test or predict without a single batch.

    At the start, where the trainer's limits say so; else, for want of images, at the end. After a
    training it is only remarked upon: nothing that was done is lost.
    """

    def __init__(self) -> None:
        self._num_batches = 0
        self._has_trained = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse limits of 0."""
        self._num_batches = 0
        if name := _zero_limit(trainer, stage):
            self._nothing_done(trainer, stage, f"{name} is 0; give 1 or more")

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse to call nothing a success; a training that had ended before has ended well."""
        if stage == "fit" and trainer.global_step > 0:
            self._has_trained = True
        elif not self._num_batches and trainer.is_global_zero and not _zero_limit(trainer, stage):
            self._nothing_done(trainer, stage, "the data have no image for it")

    def on_train_batch_end(self, *_: object, **__: object) -> None:
        """Count."""
        self._num_batches += 1

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object, **__: object
    ) -> None:
        """Count, unless it belongs to a training."""
        self._num_batches += trainer.state.fn == "validate"

    def on_test_batch_end(self, *_: object, **__: object) -> None:
        """Count."""
        self._num_batches += 1

    def on_predict_batch_end(self, *_: object, **__: object) -> None:
        """Count."""
        self._num_batches += 1

    def _nothing_done(self, trainer: pl.Trainer, stage: str, reason: str) -> None:
        text = f"Nothing was {_DONE[stage]}: {reason}."
        if not self._has_trained:
            raise ValueError(text)
        remark(trainer, text)


def _zero_limit(trainer: pl.Trainer, stage: str) -> str | None:
    """The trainer's setting that leaves nothing to do."""
    return next((name for name in _LIMITS[stage] if getattr(trainer, name) == 0), None)
