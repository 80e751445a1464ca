"""A run's metrics as one JSON file."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

__all__ = ["MetricsJSON"]


class MetricsJSON(pl.Callback):
    """Write ``<run>/metrics.json``: every epoch's metrics, the last ones, and the time.

    Keys: ``epochs`` (a list with the metrics after each epoch), ``latest`` (the newest value of
    every metric, test metrics among them), ``train_seconds``, ``device``, ``num_parameters``.

    Example:
        >>> metrics = MetricsJSON()
        >>> trainer = pl.Trainer(callbacks=make_callbacks(metrics=metrics), logger=False)
        >>> metrics.latest  # after trainer.fit: {"val/accuracy": ..., ...}
        {}
    """

    def __init__(self) -> None:
        self._content: dict[str, Any] = {"epochs": [], "latest": {}}
        self._start = time.monotonic()

    @property
    def latest(self) -> dict[str, float | None]:
        """The newest value of every metric."""
        return self._content["latest"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a line for this epoch."""
        self._content["train_seconds"] = round(time.monotonic() - self._start, 1)
        line = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        self._content["epochs"].append(line | _numbers(trainer))
        self._write(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what `validate` found."""
        if trainer.state.fn == "validate":
            self._write(trainer, pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what `test` found."""
        self._write(trainer, pl_module)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Note what callbacks found at the end."""
        if stage in ("fit", "test"):
            self._write(trainer, pl_module)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self._content["latest"] |= _numbers(trainer)
        self._content["device"] = str(pl_module.device)
        parameters = sum(p.numel() for p in pl_module.parameters())
        self._content["num_parameters"] = parameters
        path = Path(trainer.default_root_dir) / "metrics.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._content, indent=1) + "\n")
        os.replace(temporary, path)


def _numbers(trainer: pl.Trainer) -> dict[str, float | None]:
    """The present metrics; null where one is no number, which JSON can't say otherwise."""
    values = {key: float(value) for key, value in trainer.callback_metrics.items()}
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
