"""A run's metrics as one JSON file."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from lightning_ecinn.callbacks.loggers import outlive_loggers
from lightning_ecinn.callbacks.new_files import save_new
from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.callbacks.something_done import SomethingDone
from lightning_ecinn.figures.tables import as_json
from lightning_ecinn.whole_files import write_whole

__all__ = ["MetricsJSON"]


class MetricsJSON(SomethingDone):
    """Write ``<run>/metrics.json``: every epoch's metrics, the last ones, and the time.

    Keys: ``epochs`` (a list with the metrics after each epoch), ``latest`` (the newest value of
    every metric, test metrics among them), ``train_seconds``, ``device``, ``num_parameters``.
    Another one's file is left alone: this one's name then gets a number.

    A run lasts longer than its notes: a file that can't be written and a logger that fails are
    remarked upon, and the run goes on. One that would do nothing is refused.

    Raises:
        ValueError: there is nothing to train, validate, test or predict.

    Example:
        >>> metrics = MetricsJSON()
        >>> trainer = pl.Trainer(callbacks=make_callbacks(metrics=metrics), logger=False)
        >>> metrics.latest  # after trainer.fit: {"val/accuracy": ..., ...}
        {}
    """

    def __init__(self) -> None:
        super().__init__()
        self._path: Path | None = None
        self._content: dict[str, Any] = {"epochs": [], "latest": {}}
        self._start = time.monotonic()

    @property
    def latest(self) -> dict[str, float | None]:
        """The newest value of every metric."""
        return self._content["latest"]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Get ready for loggers that fail."""
        outlive_loggers(trainer)
        super().setup(trainer, pl_module, stage)

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
        super().teardown(trainer, pl_module, stage)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        self._content["latest"] |= _numbers(trainer)
        self._content["device"] = str(pl_module.device)
        parameters = sum(p.numel() for p in pl_module.parameters())
        self._content["num_parameters"] = parameters
        text = as_json(self._content)
        with going_on(trainer, "The metrics are not all in metrics.json"):
            self._save(Path(trainer.default_root_dir) / "metrics.json", text.encode())

    def _save(self, path: Path, content: bytes) -> None:
        """Write the file anew, under the name that it got the first time."""
        if self._path is None or self._path.parent != path.parent:
            self._path = save_new(path, lambda file: file.write(content))
            return
        with write_whole(self._path) as file:
            file.write(content)


def _numbers(trainer: pl.Trainer) -> dict[str, float | None]:
    """The present metrics; null where one is no number, which JSON can't say otherwise."""
    values = {key: float(value) for key, value in trainer.callback_metrics.items()}
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
