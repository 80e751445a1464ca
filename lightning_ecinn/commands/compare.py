"""Several models' heatmaps of the same images: pictures, and how alike they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor

from lightning_ecinn import shipped
from lightning_ecinn.attribution import LABELS
from lightning_ecinn.callbacks.loggers import free_path, log_figure, log_numbers
from lightning_ecinn.comparison import (
    FIGURE_9,
    UNITS,
    Explained,
    HeatmapCorrelations,
    HeatmapNumbers,
    check_methods,
    explain_by,
    explains,
    numbers_table,
    table_row,
    text_table,
)
from lightning_ecinn.datamodules.checks import SplitName, check_at_least
from lightning_ecinn.figures import correlation_matrices, heatmap_table
from lightning_ecinn.models.checkpoints import load_model
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.runs import model_names
from lightning_ecinn.training.batches import Baselines, first_images, progress, shap_baselines

__all__ = ["ModelComparison"]

_CHUNK = 8
"""Images between two steps of the progress bar."""


class ModelComparison:
    """What `compare` does: Figure 9 for any models, one picture per image, and correlations.

    Args:
        paths: checkpoints, of flows or ordinary networks.
        names: one per checkpoint; by default the experiment's, or the file's.
        methods: columns, names in ``lightning_ecinn.attribution.METHODS``.
        count: images that are drawn.
        measure: images that correlations and completeness are over, at least `count`.
        split: where the images come from.
        seed: which images are drawn.
        target: class asked for, of models with more than two classes; by default the second
            likeliest.
        baselines: what DeepLiftSHAP and GradSHAP compare with.
        num_baselines: how many training images.

    Raises:
        FileNotFoundError: for a checkpoint that does not exist.
        ValueError: without checkpoints, for files that are none, and for wrong settings.
    """

    def __init__(
        self,
        paths: Sequence[str],
        names: Sequence[str] = (),
        *,
        methods: Sequence[str] = FIGURE_9,
        count: int = 4,
        measure: int = 64,
        split: SplitName = "test",
        seed: int = 0,
        target: int | None = None,
        baselines: Baselines = "training images",
        num_baselines: int = 10,
    ):
        if not paths:
            raise ValueError(
                "compare: there is nothing to compare. Give --ckpt PATH once for each model."
            )
        if names and len(names) != len(paths):
            raise ValueError(
                f"--names: there are {len(names)} names for {len(paths)} checkpoints; give each "
                "its own."
            )
        check_methods(methods)
        check_at_least(1, count=count, measure=measure, num_baselines=num_baselines)
        self.paths = [str(shipped.resolve(path).absolute()) for path in paths]
        self.names = list(names) or model_names(self.paths)
        self.models = [load_model(path) for path in self.paths]
        self.methods = list(methods)
        self.count = count
        self.measure = measure
        self.split = split
        self.seed = seed
        self.target = target
        self.baselines = baselines
        self.num_baselines = num_baselines

    def run(self, trainer: pl.Trainer) -> None:
        """Explain the images of the trainer's data module, on its device; draw, print, log."""
        self._warn_of_missing_means()
        images, labels = first_images(trainer, self.split, limit=2000)
        generator = torch.Generator().manual_seed(self.seed)
        chosen = torch.randperm(len(images), generator=generator)[: max(self.count, self.measure)]
        baselines = shap_baselines(trainer, self.baselines, self.num_baselines, self.seed)
        for model in self.models:
            model.to(trainer.strategy.root_device)
        correlations = HeatmapCorrelations(len(self.models), self.methods)
        numbers = [HeatmapNumbers(self.methods) for _ in self.models]
        shown, rest = chosen[: self.count], chosen[self.count :].split(_CHUNK)
        for part in progress(trainer, [shown, *filter(len, rest)], "heatmaps"):
            explained = self._explained(images[part], baselines)
            correlations.update(explained)
            for one, found in zip(explained, numbers, strict=True):
                found.update(one)
            if part is shown:
                self._draw_images(trainer, explained, part, labels[part])
        self._report(trainer, correlations, numbers, len(chosen))

    def _explained(self, images: Tensor, baselines: Tensor | None) -> list[Explained]:
        return [
            explain_by(
                model,
                images,
                self.methods,
                target=self.target if model.num_classes > 2 else None,
                baselines=baselines,
                seed=self.seed,
                name=name,
            )
            for model, name in zip(self.models, self.names, strict=True)
        ]

    def _draw_images(
        self, trainer: pl.Trainer, explained: list[Explained], indices: Tensor, labels: Tensor
    ) -> None:
        class_names = getattr(trainer.datamodule, "class_names", None)  # type: ignore[attr-defined]
        for i, (index, label) in enumerate(zip(indices.tolist(), labels.tolist(), strict=True)):
            title = f"{self.split} image {index}: {class_names[label] if class_names else label}"
            figure = heatmap_table(
                [table_row(one, i, self.methods) for one in explained],
                [LABELS[method] for method in self.methods],
                title=title,
                note=UNITS,
            )
            log_figure(trainer, figure, f"compare-{self.split}{index:05d}")

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
            print(f"{name} ({path}):\n{numbers_table(found[name])}")
        title = f"Mean correlation of heatmaps over {count} {self.split} images"
        print(f"{title}:\n{_pairs_table(matrices, self.names)}")
        figure = correlation_matrices(
            {LABELS[method]: matrix for method, matrix in matrices.items()}, self.names, title=title
        )
        log_figure(trainer, figure, "compare-correlations")
        images = {method: correlations.counts[method].tolist() for method in matrices}
        self._write(trainer, matrices, images, found)
        log_numbers(trainer, self._flat(matrices, found))

    def _write(
        self, trainer: pl.Trainer, matrices: dict[str, Any], images: dict[str, Any], found: Any
    ) -> None:
        models = [
            {"name": name, "ckpt": path, "heatmaps": found[name]}
            for name, path in zip(self.names, self.paths, strict=True)
        ]
        content = {"models": models, "correlation": matrices, "images": images}
        path = free_path(Path(trainer.default_root_dir) / "comparison.json")
        path.write_text(json.dumps(content, indent=1) + "\n")
        print(f"Wrote {path}")

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

    def _warn_of_missing_means(self) -> None:
        for model, path in zip(self.models, self.paths, strict=True):
            if isinstance(model, GenerativeClassifier) and not explains(model):
                rank_zero_warn(
                    f"{path} has no class means, so neither counterfactuals nor ECINNh: build them "
                    "with `means`."
                )


def _pairs_table(matrices: dict[str, Any], names: Sequence[str]) -> str:
    """One line per pair of models, one column per method."""
    rows = [["", *(LABELS[method] for method in matrices)]]
    for i in range(len(names)):
        for j in range(i):
            values = [matrix[i][j] for matrix in matrices.values()]
            cells = ["–" if value is None else f"{value:+.3f}" for value in values]
            rows.append([f"{names[j]} ~ {names[i]}", *cells])
    return text_table(rows)
