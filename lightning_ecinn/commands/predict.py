"""The subcommand `predict` for another classifier than the flow's own."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from lightning_ecinn.blackbox import BlackBoxExplainer
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.training.first_batch import asked_targets, images_alone
from lightning_ecinn.training.shared import check_precision

__all__ = ["BlackBoxPrediction"]


class BlackBoxPrediction(pl.LightningModule):
    """Predicts as `IBINN` does, counterfactuals of a classifier that is asked.

    Args:
        explainer: of the classifier.
        target: the class asked for, or "all".
        alpha: the step.

    Raises:
        ValueError: the classifier has no such class.
    """

    def __init__(self, explainer: BlackBoxExplainer, target: Any, alpha: Any):
        super().__init__()
        self.explainer = explainer
        self.classifier = explainer.flow.classifier  # a submodule: Lightning moves it
        self.asked = explainer.predictor.module
        count = explainer.num_classes
        if target != "all" and not 0 <= target < count:
            raise ValueError(
                f"--model.predict_target is {target}, but the classifier's classes are 0 to "
                f"{count - 1}."
            )
        self.target, self.alpha = target, alpha

    def setup(self, stage: str) -> None:
        """Refuse precisions in which no flow can be inverted."""
        check_precision(self.trainer)

    def predict_step(self, batch: Any, batch_idx: int) -> Counterfactual:
        """Counterfactuals of a batch, (B, T, ...)."""
        images = images_alone(batch, batch_idx, self.classifier)
        targets = asked_targets(self.target, self.explainer.num_classes, images)
        with torch.autocast(self.device.type, enabled=False):
            return self.explainer.explain(images, targets, self.alpha, undefined="keep")
