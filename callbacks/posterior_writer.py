"""What `predict` leaves of an ordinary network: its posteriors in one compressed file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import Tensor

from lightning_ecinn.callbacks.prediction_writer import PredictionWriter
from lightning_ecinn.training import NetworkModule

__all__ = ["PosteriorWriter"]


class PosteriorWriter(PredictionWriter):
    """Write ``<run>/posteriors.npz`` after `predict` with an ordinary network.

    Arrays, N images in the order of the split: ``posteriors`` (N, K), ``class_names`` (K,).

    Example:
        >>> trainer = pl.Trainer(callbacks=[PosteriorWriter()], logger=False)
    """

    content = "posteriors"

    def __init__(self) -> None:
        super().__init__("posteriors.npz")
        self._is_network = False

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget an earlier prediction; other modules' tensors are not ours to name."""
        super().on_predict_start(trainer, pl_module)
        self._is_network = isinstance(pl_module, NetworkModule)

    def arrays(self, prediction: Any) -> dict[str, np.ndarray] | None:
        """Of the posterior (B, K) of a batch."""
        if not self._is_network or not isinstance(prediction, Tensor):
            return None
        return {"posteriors": prediction.cpu().numpy()}

    def missing(self, arrays: dict[str, np.ndarray]) -> tuple[str, bool]:
        """How many images have a posterior that is no number."""
        known = np.isfinite(arrays["posteriors"]).all(1)
        if known.all():
            return "", False
        text = f"The posteriors of {(~known).sum()} of {len(known)} images are no numbers."
        return text, not known.any()

    def class_names(self, pl_module: pl.LightningModule) -> tuple[str, ...]:
        """One name per class."""
        assert isinstance(pl_module, NetworkModule)
        return pl_module.network.class_names
