"""The loop of `evaluate`: what is done with a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_ecinn.blackbox import AnyExplainer, BlackBoxExplainer, flow_of
from lightning_ecinn.commands.evaluation_data import EvaluationData
from lightning_ecinn.ecinn.steps import NamedStep
from lightning_ecinn.evaluation import (
    Judges,
    RealismSample,
    Rows,
    alpha_name,
    choose_realism_sample,
    joined,
    measured,
    properties_of,
    realism_pictures,
)
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.training.processes import gather
from lightning_ecinn.training.shared import check_precision

__all__ = ["CounterfactualEvaluation"]


class CounterfactualEvaluation(pl.LightningModule):
    """Measures the counterfactuals of :class:`EvaluationData`, batch by batch.

    Args:
        explainer: makes them.
        alphas: at which steps.
        judges: other models that look at them.
        survival: whether tilt, weight and size of images and counterfactuals are measured.
        keep_pictures: whether some pictures are kept, to be told apart from real images.

    Attributes:
        realism_sample: which pictures are kept, once the loop has begun; None for none.
    """

    realism_sample: RealismSample | None = None

    def __init__(
        self,
        explainer: AnyExplainer,
        alphas: Sequence[NamedStep | float],
        judges: Judges,
        *,
        survival: bool = False,
        keep_pictures: bool = False,
    ):
        super().__init__()
        # Submodules: Lightning moves them.
        asked = explainer if isinstance(explainer, BlackBoxExplainer) else None
        self.classifier = flow_of(explainer).classifier
        self.asked = None if asked is None else asked.predictor.module
        self.explainer = explainer
        self.alphas = tuple(alphas)
        self.judges = judges
        self.survival = survival
        self.keep_pictures = keep_pictures
        self._parts: list[Rows] = []
        self._pictures: list[Rows] = []

    @property
    def data(self) -> EvaluationData:
        """What is evaluated."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, EvaluationData)
        return data

    @property
    def shown_step(self) -> str:
        """The step that is looked at closely: the convincing one, or the last where it is none."""
        names = [alpha_name(alpha) for alpha in self.alphas]
        return "convincing" if "convincing" in names else names[-1]

    def setup(self, stage: str) -> None:
        """Refuse precisions in which no flow can be inverted."""
        check_precision(self.trainer)

    def on_predict_start(self) -> None:
        """Forget an earlier evaluation."""
        self.judges.to(self.device)
        self._parts, self._pictures, data = [], [], self.data
        if self.keep_pictures:
            self.realism_sample = choose_realism_sample(
                data.pairs, data.labels, data.num_classes, data.shape, data.seed
            )

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> int:
        """Keep the rows of a batch; of "all" targets only those that the image is not already.

        Judges too look in full precision, however the network was trained.
        """
        mask = partial(self.data.true_pixels, batch["index"])
        before = properties_of(as_float(batch["images"])) if self.survival else None
        for alpha in self.alphas:
            with torch.autocast(self.device.type, enabled=False):
                rows = measured(self.explainer, batch, alpha, self.judges, mask, before)
            if self.realism_sample is not None:
                self._pictures.append(realism_pictures(rows, self.realism_sample))
            del rows["picture"]
            if self.data.targets == "all":
                rows = {name: column[~rows["already"]] for name, column in rows.items()}
            self._parts.append(rows)
        return len(batch["index"])

    def gather(self) -> Rows | None:
        """All rows of all processes, on the first one; None on the others."""
        parts = gather(self.trainer, joined(self._parts))
        self._parts = []
        return None if parts is None else joined([part for part in parts if part])

    def gather_pictures(self) -> Rows | None:
        """The pictures that were kept, of all processes, as :meth:`gather` has the rows."""
        parts = gather(self.trainer, joined(self._pictures))
        self._pictures = []
        return None if parts is None else joined([part for part in parts if part])
