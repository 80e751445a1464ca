"""The loggers that every run has; Weights & Biases offline where nobody is logged in."""

from __future__ import annotations

import logging
import os
import shlex
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.loggers import CSVLogger, WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

__all__ = ["is_logged_in", "make_loggers", "prepare_wandb", "uses_wandb"]


def make_loggers(folder: Path, experiment: str, project: str) -> list[Any]:
    """A table of metrics in the run's folder, and Weights & Biases."""
    csv = CSVLogger(folder, name="", version="")
    online = _PatientWandb(name=f"{experiment}/{folder.name}", save_dir=folder, project=project)
    online._wandb_init.pop("anonymous", None)  # W&B warns of this option, which does nothing
    return [csv, online]


class _PatientWandb(WandbLogger):
    """Weights & Biases that, where it can't begin, lets the run go on without it."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Its run; if need be a disabled one, which takes everything and keeps nothing."""
        try:
            return super().experiment
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            rank_zero_warn(f"Nothing is logged to Weights & Biases, which can't begin: {reason}")
            self._experiment = wandb.init(mode="disabled")
            return self._experiment


def uses_wandb(logger: Any) -> bool:
    """Whether the configuration's ``trainer.logger`` means Weights & Biases, among others."""
    if logger in (None, True, False):
        return logger is not False
    chosen = logger if isinstance(logger, list) else [logger]
    return any(str(one.get("class_path", "")).endswith("WandbLogger") for one in chosen)


def prepare_wandb(folder: Path) -> None:
    """Without a login W&B asks on a terminal and fails in a script: go offline instead."""
    if "WANDB_MODE" in os.environ or wandb.run is not None or is_logged_in():
        return
    os.environ["WANDB_MODE"] = "offline"
    os.environ.setdefault("WANDB_SILENT", "true")  # we say it ourselves
    runs = f"{shlex.quote(str(folder / 'wandb'))}/offline-run-*"
    rank_zero_info(
        "Weights & Biases: not logged in (or no connection), so this run is logged offline. "
        f"To upload it later: wandb login && wandb sync {runs}"
    )


def is_logged_in() -> bool:
    """Whether somebody can log to Weights & Biases, without asking on a terminal."""
    logger = logging.getLogger("wandb")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return bool(wandb.login(prompt=False))
    except Exception:  # whatever the reason, there is no usable login
        return False
    finally:
        logger.setLevel(level)
        wandb.teardown()  # or it would not notice what the environment says from now on
