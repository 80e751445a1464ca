"""The configuration of a run, kept with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
import yaml
from pytorch_lightning.cli import SaveConfigCallback
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.callbacks.loggers import log_about
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.runs import CONFIG
from lightning_ecinn.whole_files import write_whole

__all__ = ["SaveConfig"]


class SaveConfig(SaveConfigCallback):
    """The whole configuration, into the run's folder and to loggers; the data, to the screen, too.

    In Weights & Biases the data are ``data_set`` of the configuration: ``description``,
    ``image_shape``, ``class_names``, ``images`` (by split, of those read) and ``found`` (what was
    null and found in them, a line each); in TensorBoard both are texts.
    """

    found: Sequence[str] = ()
    """Lines on what was found in the data."""
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
        log_about(trainer, "config", yaml.safe_load(text), f"```yaml\n{text}```")

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what data there are."""
        if said := self._say_data(trainer):
            rank_zero_info(said)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the loggers what test images there are."""
        self._say_data(trainer)

    def _say_data(self, trainer: pl.Trainer) -> str:
        """Tell the loggers; in one line, where the data describe themselves."""
        data = getattr(trainer, "datamodule", None)
        if not isinstance(data, InMemoryDataModule):
            describe = getattr(data, "describe", None)
            return describe() if describe is not None else ""
        said = data.describe()
        about = {
            "description": said,
            "image_shape": list(data.image_shape),
            "class_names": data.class_names,
            "images": data.split_sizes,
            "found": list(self.found),
        }
        text = "\n\n".join((said, f"classes: {', '.join(data.class_names)}", *self.found))
        log_about(trainer, "data_set", {"data_set": about}, text)
        return said
