"""The configuration of a run, kept with it."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning as pl
import yaml
from pytorch_lightning.cli import SaveConfigCallback
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.runs import CONFIG
from lightning_ecinn.whole_files import write_whole

__all__ = ["SaveConfig"]


class SaveConfig(SaveConfigCallback):
    """The whole configuration, into the run's folder and to W&B; the data, onto the screen."""

    _error: str | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Save once; where the first process can't, no process waits for it.

        Raises:
            OSError: config.yaml can't be written, so nothing that comes could be.
        """
        super().setup(trainer, pl_module, stage)
        if error := trainer.strategy.broadcast(self._error):
            raise OSError(error)

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write config.yaml, which was made empty to claim the folder."""
        text = self.parser.dump(self.config, skip_none=False)
        try:
            with write_whole(Path(trainer.default_root_dir) / CONFIG) as file:
                file.write(text.encode())
        except OSError as error:
            self._error = str(error)
            return
        groups = {key: value for key, value in yaml.safe_load(text).items() if key != "model"}
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):  # the model logs its own
                with going_on(trainer, "Weights & Biases does not know the configuration"):
                    logger.log_hyperparams(groups)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what data there are."""
        describe = getattr(getattr(trainer, "datamodule", None), "describe", None)
        if describe is not None:
            rank_zero_info(describe())
