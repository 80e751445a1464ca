"""The configuration of a run, kept with it."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
import yaml
from pytorch_lightning.cli import SaveConfigCallback
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.runs import CONFIG

__all__ = ["SaveConfig"]


class SaveConfig(SaveConfigCallback):
    """The whole configuration, into the run's folder and to W&B; the data, onto the screen."""

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write config.yaml, which was made empty to claim the folder."""
        text = self.parser.dump(self.config, skip_none=False)
        (Path(trainer.default_root_dir) / CONFIG).write_text(text)
        groups = {key: value for key, value in yaml.safe_load(text).items() if key != "model"}
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):  # the model logs its own
                logger.log_hyperparams(groups)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what data there are."""
        describe = getattr(getattr(trainer, "datamodule", None), "describe", None)
        if describe is not None:
            rank_zero_info(describe())
