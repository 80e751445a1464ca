"""The subcommand `compare`: several models' heatmaps of the same images, and how alike they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_ecinn import shipped
from lightning_ecinn.attribution import LABELS
from lightning_ecinn.blackbox.file import stored_in
from lightning_ecinn.callbacks.loggers import log_figure, log_numbers, outlive_loggers
from lightning_ecinn.callbacks.new_files import save_new_text
from lightning_ecinn.callbacks.remarks import going_on, remark
from lightning_ecinn.commands.asked import explained_over_data, first_flow
from lightning_ecinn.comparison import (
    UNITS,
    Explained,
    HeatmapCorrelations,
    HeatmapNumbers,
    HeatmapSettings,
    explain_by,
    explained_model,
    explains,
    left_out,
    numbers_table,
    table_row,
)
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.ecinn.settings import stored_path
from lightning_ecinn.figures import correlation_matrices, heatmap_table, text_table
from lightning_ecinn.figures.tables import as_json
from lightning_ecinn.models.checkpoints import read_checkpoint
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.plain_text import plain
from lightning_ecinn.runs import name_models
from lightning_ecinn.training.batches import (
    draw_baselines,
    read_first_images,
    show_progress,
)

__all__ = ["CompareSettings", "Comparison"]

_CHUNK = 8
"""Images between two steps of the progress bar."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings(HeatmapSettings):
    """Which models `compare` compares.

    A classifier that is given by ``classifier`` is one more, explained through the first flow.

    Args:
        ckpt_path: checkpoints of the models, of any kind.
        names: their names; by default the experiments'.
        measure: images that the correlations are over.

    Raises:
        ValueError: without checkpoints, and for settings that nothing can be compared with.
    """

    ckpt_path: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    measure: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ckpt_path:
            raise ValueError(
                "compare: there is nothing to compare. Give --ckpt_path PATH of each model."
            )
        count = len(self.ckpt_path) + (self.classifier is not None)
        if self.names and len(self.names) != count:
            more = " and the classifier" if self.classifier is not None else ""
            raise ValueError(
                f"--names: there are {len(self.names)} names for {len(self.ckpt_path)} "
                f"checkpoints{more}; give each its own."
            )
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"--names {' '.join(self.names)}: give each model a name of its own.")


class Comparison:
    """Figure 9 for any models, one picture per image, and correlations.

    Args:
        settings: what is compared.

    Raises:
        FileNotFoundError: for a checkpoint that does not exist.
        ValueError: for files that are none, and where no model has any of the heatmaps.
    """

    def __init__(self, settings: CompareSettings):
        self.settings = settings
        self.paths = [str(shipped.resolve(path).absolute()) for path in settings.ckpt_path]
        asked = [] if settings.classifier is None else [settings.classifier]
        self.names = settings.names or name_models([*self.paths, *asked])
        self.checkpoints = [read_checkpoint(path, "classifier", "network") for path in self.paths]
        self.models: list[Any] = list(map(explained_model, self.checkpoints))
        self.flow = first_flow(self.checkpoints) if asked else None
        has_none = not asked and not any(map(explains, self.models))
        if set(settings.methods) == {"ecinnh"} and has_none:
            raise ValueError(
                "compare: no model has class means, and so none has ECINNh, the one method asked "
                "for: build them with `means`, or give other --methods."
            )

    def run(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule) -> None:
        """Explain images of the data, on the trainer's device; draw, print, log. In one process.

        Raises:
            ValueError: nothing can be compared: no image, or no heatmap of any.
            WriteError: comparison.json can't be written; its tables are on the screen.
        """
        self._remark_missing_means(trainer)
        outlive_loggers(trainer)
        datamodule.prepare_data()
        for stage in ("fit", "test"):
            datamodule.setup(stage)
        trainer.datamodule = datamodule  # type: ignore[attr-defined]
        self._add_asked(trainer, datamodule)
        self._compare(trainer)
        for logger in trainer.loggers:
            logger.finalize("success")

    def _add_asked(self, trainer: pl.Trainer, datamodule: pl.LightningDataModule) -> None:
        """One more model: the classifier that is asked."""
        if self.flow is None:
            return
        held: Any = self.flow.model()
        flow = Explainer(held, **stored_path(self.flow.settings, self.flow.path))
        given = flow, stored_in(self.flow), self.flow.path
        self.models.append(explained_over_data(trainer, datamodule, self.settings, *given))
        for text in left_out(self.models[-1], self.names[-1], self.settings.methods):
            remark(trainer, text)
        self.paths.append(str(self.settings.classifier))

    def _compare(self, trainer: pl.Trainer) -> None:
        s, methods = self.settings, self.settings.methods
        images, labels = read_first_images(trainer, s.split, limit=2000)
        if len(images) == 0:
            raise ValueError(f"There is no image in the split {s.split!r} of the data to compare.")
        generator = torch.Generator().manual_seed(s.seed)
        chosen = torch.randperm(len(images), generator=generator)[: max(s.count, s.measure)]
        baselines = draw_baselines(trainer, s.baselines, s.num_baselines, s.seed)
        for checkpoint in self.checkpoints:
            checkpoint.model().to(trainer.strategy.root_device)
        correlations = HeatmapCorrelations(len(self.models), methods)
        numbers = [HeatmapNumbers(methods) for _ in self.models]
        missing = torch.zeros(len(self.models), dtype=torch.int64)
        shown, rest = chosen[: s.count], chosen[s.count :].split(_CHUNK)
        for part in show_progress(trainer, [shown, *filter(len, rest)], "heatmaps"):
            explained = self._explained(images[part], baselines)
            correlations.update(explained)
            for one, found in zip(explained, numbers, strict=True):
                found.update(one)
            missing += torch.stack([(~one.defined).sum() for one in explained])
            if part is shown:
                self._draw_images(trainer, explained, part, labels[part])
        self._report(trainer, correlations, numbers, len(chosen))
        self._count_missing(trainer, missing.tolist(), len(chosen))

    def _explained(self, images: Tensor, baselines: Tensor | None) -> list[Explained]:
        return [
            explain_by(
                model,
                images,
                self.settings.methods,
                target=self.settings.target if model.num_classes > 2 else None,
                baselines=baselines,
                seed=self.settings.seed,
                name=name,
            )
            for model, name in zip(self.models, self.names, strict=True)
        ]

    def _draw_images(
        self, trainer: pl.Trainer, explained: list[Explained], indices: Tensor, labels: Tensor
    ) -> None:
        split, methods = self.settings.split, self.settings.methods
        class_names = getattr(trainer.datamodule, "class_names", None)  # type: ignore[attr-defined]
        if not any(one.has(method).any() for one in explained for method in methods):
            return
        for i, (index, label) in enumerate(zip(indices.tolist(), labels.tolist(), strict=True)):
            title = f"{split} image {index}: {class_names[label] if class_names else label}"
            figure = heatmap_table(
                [table_row(one, i, methods) for one in explained],
                [LABELS[method] for method in methods],
                title=title,
                note=UNITS,
            )
            log_figure(trainer, figure, f"compare-{split}{index:05d}")

    def _report(
        self,
        trainer: pl.Trainer,
        correlations: HeatmapCorrelations,
        numbers: list[HeatmapNumbers],
        count: int,
    ) -> None:
        matrices = {m: r for m, r in correlations.compute().items() if correlations.counts[m].any()}
        found = {name: one.compute() for name, one in zip(self.names, numbers, strict=True)}
        for name, path in zip(self.names, self.paths, strict=True):
            print(f"{plain(f'{name} ({path})')}:\n{numbers_table(found[name])}")
        if not matrices:
            raise ValueError(f"No model has any of the heatmaps of any of {count} images.")
        title = f"Mean correlation of heatmaps over {count} {self.settings.split} images"
        print(f"{title}:\n{_pairs_table(matrices, self.names)}", flush=True)
        with going_on(trainer, "compare-correlations could not be drawn"):
            shown = {LABELS[method]: matrix for method, matrix in matrices.items()}
            figure = correlation_matrices(shown, self.names, title=title)
            log_figure(trainer, figure, "compare-correlations")
        log_numbers(trainer, self._flat(matrices, found))
        images = {method: correlations.counts[method].tolist() for method in matrices}
        self._write(trainer, matrices, images, found)

    def _write(
        self, trainer: pl.Trainer, matrices: dict[str, Any], images: dict[str, Any], found: Any
    ) -> None:
        models = [
            {"name": name, "ckpt": path, "heatmaps": found[name]}
            for name, path in zip(self.names, self.paths, strict=True)
        ]
        content = {"models": models, "correlation": matrices, "images": images}
        path = Path(trainer.default_root_dir) / "comparison.json"
        path = save_new_text(path, as_json(content))
        print(plain(f"Wrote {path}"))

    def _flat(self, matrices: dict[str, Any], found: Any) -> dict[str, float]:
        """The numbers by the names that loggers show."""
        flat = {
            f"correlation/{method}/{self.names[j]}~{self.names[i]}": matrix[i][j]
            for method, matrix in matrices.items()
            for i in range(len(self.names))
            for j in range(i)
            if matrix[i][j] is not None
        }
        for name, by_method in found.items():
            for method, values in by_method.items():
                flat |= {f"heatmaps/{name}/{method}/{key}": v for key, v in values.items()}
        return flat

    def _remark_missing_means(self, trainer: pl.Trainer) -> None:
        """Say which flows have no means."""
        for model, path in zip(self.models, self.paths, strict=True):
            if isinstance(model, GenerativeClassifier) and not explains(model):
                text = (
                    f"{path} has no class means, so neither counterfactuals nor ECINNh: build them "
                    "with `means`."
                )
                remark(trainer, text)

    def _count_missing(self, trainer: pl.Trainer, missing: Sequence[int], count: int) -> None:
        """Say to how many counterfactuals no step leads, of models that have any."""
        for model, name, number in zip(self.models, self.names, missing, strict=True):
            if number and explains(model):
                text = f"{name}: no step leads to {number} of {count} counterfactuals."
                remark(trainer, text)


def _pairs_table(matrices: dict[str, Any], names: Sequence[str]) -> str:
    """One line per pair of models, one column per method."""
    rows = [["", *(LABELS[method] for method in matrices)]]
    for i in range(len(names)):
        for j in range(i):
            values = [matrix[i][j] for matrix in matrices.values()]
            cells = [f"{v:+.3f}" if v is not None and math.isfinite(v) else "–" for v in values]
            rows.append([f"{names[j]} ~ {names[i]}", *cells])
    return text_table(rows)
