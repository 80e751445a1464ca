"""What stands for a model of the configuration whose network nobody needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

__all__ = ["UnbuiltModule"]


class UnbuiltModule(pl.LightningModule):
    """A module's settings without its network, where a checkpoint's own network is used.

    Args:
        settings: of the configuration; its ``hparams``.
    """

    def __init__(self, settings: Mapping[str, Any]):
        super().__init__()
        self.save_hyperparameters(dict(settings), logger=False)
