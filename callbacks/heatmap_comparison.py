"""The paper's Figure 9: ECINNh beside other heatmaps, after fitting and testing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from lightning_ecinn.attribution import LABELS
from lightning_ecinn.blackbox import BlackBoxExplainer
from lightning_ecinn.blackbox.given import read_classifier
from lightning_ecinn.callbacks.end_of_run import DrawsAtTheEnd, NothingToDrawError
from lightning_ecinn.callbacks.loggers import log_figure, log_numbers
from lightning_ecinn.callbacks.remarks import remark
from lightning_ecinn.comparison import (
    UNITS,
    Explained,
    HeatmapNumbers,
    HeatmapSettings,
    explain_by,
    explains,
    left_out,
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
from lightning_ecinn.runs import name_models
from lightning_ecinn.training import IBINN, NetworkModule
from lightning_ecinn.training.asked import explained_classifier
from lightning_ecinn.training.batches import CorrectImages, draw_baselines, show_progress

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
    ``COMPLETENESS_LIMIT``; ``mass``, where the data know the truth, the mean share of
    abs(heatmap) in the right pixels; ``noise``, total variation over L1 norm.

    A classifier that is given by ``classifier`` is explained through the trained flow, in further
    rows: ECINNh beside the other methods' heatmaps of the same network.

    Args:
        source: class of the images; by default any.
        beside: checkpoints of other models, which explain the same images in further rows.
        name: file name of the picture.
        **heatmaps: which ones, of which images; see :class:`HeatmapSettings`.

    Example:
        >>> figure_9 = HeatmapComparison(methods=["ecinnh", "deep_lift"], count=2)
        >>> trainer = pl.Trainer(callbacks=make_callbacks(figure_9), logger=False)
    """

    def __init__(
        self,
        *,
        source: int | None = None,
        beside: list[str] = [],  # noqa: B006 (never changed; shown by --help)
        name: str = "heatmaps",
        **heatmaps: Any,
    ):
        self.settings = HeatmapSettings(**heatmaps)
        self.source = source
        self.beside = beside
        self.name = name
        self._others: dict[str, Model | BlackBoxExplainer] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse classes and checkpoints that do not exist before anything is trained."""
        if not isinstance(pl_module, IBINN | NetworkModule) or stage not in ("fit", "test"):
            return
        network = pl_module.classifier if isinstance(pl_module, IBINN) else pl_module.network
        last = network.num_classes - 1
        for name, value in (("source", self.source), ("target", self.settings.target)):
            if value is not None and not 0 <= value <= last:
                raise ValueError(
                    f"HeatmapComparison: {name} must be a class from 0 to {last}, got {value}."
                )
        if self.source is not None and self.source == self.settings.target:
            raise ValueError(
                f"HeatmapComparison: source and target are both {self.source}: give two classes."
            )
        if self.settings.classifier is not None:
            if not isinstance(pl_module, IBINN):
                raise ValueError(
                    "HeatmapComparison: classifier is explained through the flow that is trained, "
                    f"and {type(pl_module).__name__} is none: leave it out, or train an IBINN."
                )
            read_classifier(self.settings.classifier)  # refused now rather than after training
        models = [load_model(path) for path in self.beside]
        self._others = dict(zip(name_models(self.beside), models, strict=True))

    def needs(self) -> Mapping[SplitName, str]:
        """The images shown and, where heatmaps are compared with training images, these."""
        needed: dict[SplitName, str] = {self.settings.split: "choose another split"}
        if self.settings.baselines != "black":
            needed["train"] = "choose baselines: black"
        return needed

    def draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the images that are classified correctly, and measure more of them."""
        model, s = _model(pl_module), self.settings
        if model is None:
            return
        if "ecinnh" in s.methods and isinstance(model, Explainer) and not explains(model):
            remark(trainer, f"No class means: {self.name} has no counterfactuals and no ECINNh.")
        self._add_asked(trainer, model)
        found = CorrectImages(trainer, model, s.split, s.seed)
        try:
            indices = found.indices(max(s.count, s.measure), self.source, but=s.target)
        except LookupError as error:
            raise NothingToDrawError(error.args[0]) from None
        baselines = draw_baselines(trainer, s.baselines, s.num_baselines, s.seed)
        shown, rest = indices[: s.count], indices[s.count :].split(_CHUNK)
        numbers, missing = HeatmapNumbers(s.methods), 0
        for part in show_progress(trainer, [shown, *filter(len, rest)], self.name):
            explained = self._explained(model, found.images[part], baselines)
            numbers.update(explained, _mask(trainer, s.split, part, explained))
            missing += int((~explained.defined).sum())
            if part is shown:
                self._draw_table(trainer, explained, baselines)
        if missing and explains(model):
            text = f"{self.name}: no step leads to {missing} of {len(indices)} counterfactuals."
            remark(trainer, text)
        self._report(trainer, numbers, len(indices))

    def _add_asked(self, trainer: pl.Trainer, model: Model) -> None:
        """One more model: the classifier that is asked through the flow, as it now is."""
        given = self.settings.classifier
        if given is None:
            return
        assert isinstance(model, Explainer)
        names = model.class_names
        asked = explained_classifier(trainer, self.settings, model, names)
        self._others[given] = asked
        for text in left_out(asked, given, self.settings.methods):
            remark(trainer, text)

    def _explained(
        self,
        model: Model | BlackBoxExplainer,
        images: Tensor,
        baselines: Tensor | None,
        name: str = "",
    ) -> Explained:
        return explain_by(
            model,
            images,
            self.settings.methods,
            target=self.settings.target,
            baselines=baselines,
            seed=self.settings.seed,
            name=name,
        )

    def _draw_table(
        self, trainer: pl.Trainer, explained: Explained, baselines: Tensor | None
    ) -> None:
        """The images in one row each, then again for each other model."""
        methods = self.settings.methods
        others = [
            self._explained(model, explained.images, baselines, name=name)
            for name, model in self._others.items()
        ]
        rows = [
            table_row(one, i, methods)
            for one in (explained, *others)
            for i in range(len(one.images))
        ]
        if all(heatmap is None for row in rows for heatmap in row.heatmaps):
            raise NothingToDrawError("no image has any of the heatmaps.")
        figure = heatmap_table(rows, [LABELS[method] for method in methods], note=UNITS)
        log_figure(trainer, figure, self.name, section="heatmaps")

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
