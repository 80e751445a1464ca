"""The paper's Figure 9: ECINNh beside other heatmaps, after fitting and testing."""

from __future__ import annotations

from typing import Literal

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from lightning_ecinn.attribution import LABELS
from lightning_ecinn.callbacks.end_of_run import DrawsAtTheEnd
from lightning_ecinn.callbacks.loggers import log_figure, log_numbers
from lightning_ecinn.comparison import (
    FIGURE_9,
    UNITS,
    Explained,
    HeatmapNumbers,
    check_methods,
    explain_by,
    explains,
    numbers_table,
    table_row,
)
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.figures import heatmap_table
from lightning_ecinn.models.checkpoints import load_model
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.networks import Network
from lightning_ecinn.runs import model_names
from lightning_ecinn.training import IBINN, NetworkModule
from lightning_ecinn.training.batches import Baselines, CorrectImages, progress, shap_baselines

__all__ = ["HeatmapComparison"]

Model = Explainer | GenerativeClassifier | Network

_CHUNK = 8
"""Images between two steps of the progress bar."""


class HeatmapComparison(DrawsAtTheEnd):
    """Draw the heatmaps of several methods for correctly classified images, and measure them.

    Works for flows and for ordinary networks, which have neither counterfactuals nor ECINNh.
    The numbers, over `measure` images, go to the screen and as ``heatmaps/<method>/<number>`` to
    the loggers and metrics.json: ``completeness_gap``, the median share by which a heatmap's sum
    misses what it has to explain; ``incomplete``, the share of images where that is above
    ``COMPLETENESS_LIMIT``;
    ``mass``, where the data know the truth, the mean share of abs(heatmap) in the right pixels.

    Args:
        methods: columns, names in ``lightning_ecinn.attribution.METHODS``.
        count: images, one row each.
        measure: images that the numbers are over, at least `count`.
        split: where the images come from: "train", "val" or "test".
        seed: which images are drawn.
        source: class of the images; by default any.
        target: class asked for; by default the second likeliest, of two classes the other one.
        baselines: what DeepLiftSHAP and GradSHAP compare with: "black" or "training images".
        num_baselines: how many training images.
        beside: checkpoints of other models, which explain the same images in further rows.
        name: file name of the picture.

    Example:
        >>> figure_9 = HeatmapComparison(methods=["ecinnh", "deep_lift"], count=2)
        >>> trainer = pl.Trainer(callbacks=run_callbacks(figure_9), logger=False)
    """

    def __init__(
        self,
        methods: list[str] = list(FIGURE_9),  # noqa: B006 (never changed; shown by --help)
        count: int = 4,
        measure: int = 32,
        split: Literal["train", "val", "test"] = "test",
        seed: int = 0,
        source: int | None = None,
        target: int | None = None,
        baselines: Baselines = "training images",
        num_baselines: int = 10,
        beside: list[str] = [],  # noqa: B006
        name: str = "heatmaps",
    ):
        check_methods(methods)
        if min(count, measure, num_baselines) < 1:
            raise ValueError(
                "count, measure and num_baselines must be at least 1, got "
                f"{count}, {measure} and {num_baselines}."
            )
        self.methods = methods
        self.count = count
        self.measure = measure
        self.split = split
        self.seed = seed
        self.source = source
        self.target = target
        self.baselines = baselines
        self.num_baselines = num_baselines
        self.beside = beside
        self.name = name
        self._others: dict[str, Model] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse classes and checkpoints that do not exist before anything is trained."""
        if not isinstance(pl_module, IBINN | NetworkModule) or stage not in ("fit", "test"):
            return
        network = pl_module.classifier if isinstance(pl_module, IBINN) else pl_module.network
        last = network.num_classes - 1
        for name in ("source", "target"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= last:
                raise ValueError(
                    f"HeatmapComparison: {name} must be a class from 0 to {last}, got {value}."
                )
        if self.source is not None and self.source == self.target:
            raise ValueError(
                f"HeatmapComparison: source and target are both {self.source}: give two classes."
            )
        models = [load_model(path) for path in self.beside]
        self._others = dict(zip(model_names(self.beside), models, strict=True))

    def draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the images that are classified correctly, and measure more of them."""
        model = _model(pl_module)
        if not trainer.is_global_zero or model is None or trainer.interrupted:
            return
        if "ecinnh" in self.methods and isinstance(model, Explainer) and not explains(model):
            rank_zero_warn(f"No class means: {self.name} has no counterfactuals and no ECINNh.")
        found = CorrectImages(trainer, model, self.split, self.seed)
        try:
            indices = found.indices(max(self.count, self.measure), self.source, but=self.target)
        except LookupError as error:
            rank_zero_warn(f"{self.name} is left out: {error.args[0]}")
            return
        baselines = shap_baselines(trainer, self.baselines, self.num_baselines, self.seed)
        shown, rest = indices[: self.count], indices[self.count :].split(_CHUNK)
        numbers = HeatmapNumbers(self.methods)
        for part in progress(trainer, [shown, *filter(len, rest)], self.name):
            explained = self._explained(model, found.images[part], baselines)
            numbers.update(explained, _mask(trainer, self.split, part, explained))
            if part is shown:
                self._draw_table(trainer, explained, baselines)
        self._report(trainer, numbers, len(indices))

    def _explained(
        self, model: Model, images: Tensor, baselines: Tensor | None, name: str = ""
    ) -> Explained:
        return explain_by(
            model,
            images,
            self.methods,
            target=self.target,
            baselines=baselines,
            seed=self.seed,
            name=name,
        )

    def _draw_table(
        self, trainer: pl.Trainer, explained: Explained, baselines: Tensor | None
    ) -> None:
        """The images in one row each, then again for each other model."""
        rows = [table_row(explained, i, self.methods) for i in range(len(explained.images))]
        for name, model in self._others.items():
            other = self._explained(model, explained.images, baselines, name=name)
            rows += [table_row(other, i, self.methods) for i in range(len(other.images))]
        figure = heatmap_table(rows, [LABELS[method] for method in self.methods], note=UNITS)
        log_figure(trainer, figure, self.name)

    def _report(self, trainer: pl.Trainer, numbers: HeatmapNumbers, count: int) -> None:
        found = numbers.compute()
        rank_zero_info(f"Heatmaps of {count} images:\n{numbers_table(found)}")
        flat = {
            f"heatmaps/{method}/{key}": value
            for method, values in found.items()
            for key, value in values.items()
        }
        log_numbers(trainer, flat)


def _model(pl_module: pl.LightningModule) -> Model | None:
    """What can be asked for heatmaps; None for modules of other kinds."""
    if isinstance(pl_module, IBINN):
        return pl_module.explainer
    return pl_module.network if isinstance(pl_module, NetworkModule) else None


def _mask(
    trainer: pl.Trainer, split: SplitName, indices: Tensor, explained: Explained
) -> Tensor | None:
    """The pixels that truly tell source from target, bool (B, C or 1, H, W), if the data know."""
    datamodule = getattr(trainer, "datamodule", None)
    if not isinstance(datamodule, InMemoryDataModule):
        return None
    return datamodule.changed_pixels(split, indices, explained.source, explained.target)
