"""What `evaluate` leaves: tables, rows and pictures in the run's folder and the loggers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_ecinn.attribution import LABELS
from lightning_ecinn.callbacks.loggers import free_path, log_figure, log_numbers, log_table
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation
from lightning_ecinn.comparison import text_table
from lightning_ecinn.evaluation import (
    MEASURES,
    Counts,
    Estimate,
    Rows,
    Step,
    as_csv,
    as_markdown,
    comparison_table,
    counted,
    direction_cosines,
    estimates,
    faithfulness,
    pair_means,
    posteriors_along_path,
    reference_quantile,
    step_name,
    with_plausibility,
)
from lightning_ecinn.figures import (
    alpha_histograms,
    class_matrix,
    faithfulness_curves,
    plausibility_examples,
    posterior_paths,
)
from lightning_ecinn.metrics import area, bootstrap_interval

__all__ = ["EvaluationReport"]

_PATHS = 256
"""Images whose posteriors along the path are drawn."""
_EXAMPLES = 8
"""Most plausible counterfactuals that are drawn, and least plausible ones."""
_T = np.linspace(0, 2, 41).tolist()
"""Steps along the path, in units of the tipping point."""
_NOT_WRITTEN = ("features", "input_features", "seconds")
"""Columns that are no part of counterfactuals.csv: long, or different each time."""


class EvaluationReport(pl.Callback):
    """Report on what a :class:`CounterfactualEvaluation` has measured, from the first process.

    Args:
        settings: what is evaluated, plain values: written beside the results.
        notes: sentences that are shown with them.
        bootstrap: samples of the intervals.
        deletion: images of the deletion and insertion curves; 0 for none.
        seed: of the intervals.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        notes: Sequence[str] = (),
        *,
        bootstrap: int = 1000,
        deletion: int = 64,
        seed: int = 0,
    ):
        self.settings = dict(settings)
        self.notes = list(notes)
        self.bootstrap = bootstrap
        self.deletion = deletion
        self.seed = seed

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gather, then report; the other processes wait."""
        assert isinstance(pl_module, CounterfactualEvaluation)
        rows = pl_module.gathered()
        if rows is not None:
            self._report(trainer, pl_module, rows)
        trainer.strategy.barrier("evaluation written")

    def _report(self, trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows) -> None:
        reference = reference_quantile(rows)
        rows = with_plausibility(rows, reference)
        names = [step_name(step) for step in module.steps]
        counts = counted(rows, names)
        found = estimates(rows, names, samples=self.bootstrap, seed=self.seed)
        heatmaps = self._faithfulness(trainer, module, rows)
        notes = [*self.notes, *_source_note(module, rows), *_words(reference, module)]
        self._write(trainer, module, rows, counts, found, heatmaps, notes, reference)
        self._draw(trainer, module, rows, names)

    def _write(
        self,
        trainer: pl.Trainer,
        module: CounterfactualEvaluation,
        rows: Rows,
        counts: Sequence[Counts],
        found: Sequence[Estimate],
        heatmaps: Mapping[str, Any],
        notes: Sequence[str],
        reference: float,
    ) -> None:
        title = f"Counterfactuals of {len(np.unique(rows['index'])):,} {self._images(module)}"
        table = comparison_table(found, counts)
        tables = [table, *([_area_table(heatmaps)] if heatmaps else [])]
        print("\n\n".join([f"{title}:", *map(text_table, tables), "\n".join(notes)]))
        folder = Path(trainer.default_root_dir)
        markdown = [f"# {title}", *map(as_markdown, tables), *notes]
        _save(folder / "evaluation.md", "\n\n".join(markdown) + "\n")
        fields = ("step", "measure", "value", "low", "high", "count")
        values = ([getattr(one, field) for field in fields] for one in found)
        _save(folder / "evaluation.csv", as_csv(fields, values))
        written = [name for name in rows if name not in _NOT_WRITTEN]
        lines = zip(*(rows[name].tolist() for name in written), strict=True)
        _save(folder / "counterfactuals.csv", as_csv(written, lines))
        content = {
            "settings": self.settings,
            "plausibility_reference": reference,
            "counts": {one.step: {k: v for k, v in asdict(one).items() if k != "step"}
                       for one in counts},
            "measures": _nested(found),
            "heatmaps": heatmaps,
            "notes": list(notes),
        }  # fmt: skip
        _save(folder / "evaluation.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
        print(f"Wrote evaluation.md, .csv and .json and counterfactuals.csv to {folder}")
        log_table(trainer, [["measure", *table[0][1:]], *table[1:]], "evaluation")
        log_numbers(trainer, {f"evaluation/{e.step}/{e.measure}": e.value for e in found})

    def _images(self, module: CounterfactualEvaluation) -> str:
        data = module.data
        return f"images of {data.images}" if data.images else f"{data.split} images"

    def _faithfulness(
        self, trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows
    ) -> dict[str, Any]:
        """Draw deletion and insertion curves; return the areas under them."""
        chosen = _first_pairs(module, rows, self.deletion)
        if chosen is None:
            return {}
        images, source, target = chosen
        areas: dict[str, Any] = {"images": len(images)}
        for kind, curves in faithfulness(module.explainer, images, source, target).items():
            curves = {LABELS[method]: curve.double().cpu() for method, curve in curves.items()}
            bands = {name: self._band(curve) for name, curve in curves.items()}
            done = {"deletion": "blackened", "insertion": "put back into black"}[kind]
            figure = faithfulness_curves(
                {name: curve.mean(0) for name, curve in curves.items()},
                bands,
                title=f"{kind.capitalize()}: posterior of the source, {len(images)} images",
                xlabel=f"share of the pixels {done}, largest first",
            )
            log_figure(trainer, figure, f"evaluation-{kind}")
            areas[kind] = {name: self._interval(area(curve)) for name, curve in curves.items()}
        return areas

    def _band(self, curves: Tensor) -> tuple[Tensor, Tensor]:
        ends = [
            bootstrap_interval(column, samples=self.bootstrap, seed=self.seed)
            for column in curves.unbind(1)
        ]
        low, high = torch.tensor(ends, dtype=torch.float64).unbind(1)
        return low, high

    def _interval(self, values: Tensor) -> dict[str, float]:
        low, high = bootstrap_interval(values, samples=self.bootstrap, seed=self.seed)
        return {"mean": float(values.mean()), "low": float(low), "high": float(high)}

    def _draw(
        self,
        trainer: pl.Trainer,
        module: CounterfactualEvaluation,
        rows: Rows,
        names: Sequence[str],
    ) -> None:
        class_names, num_classes = module.explainer.class_names, module.explainer.num_classes
        exists = rows["defined"] & ~rows["already"]
        alphas = {name: rows["alpha"][exists & (rows["step"] == name)].tolist() for name in names}
        lengths = {name: [max(a, 0.0) for a in alpha] for name, alpha in alphas.items()}
        log_figure(trainer, alpha_histograms(lengths), "evaluation-alpha")
        cosines = direction_cosines(module.explainer.classifier).cpu()
        title = "Cosine of the step from p to q and the shortest way, μq - μp"
        figure = class_matrix(cosines, class_names, title=title)
        log_figure(trainer, figure, "evaluation-cosines")
        for step, name in zip(module.steps, names, strict=True):
            shares = pair_means(rows, "validity", name, num_classes)
            title = f"Validity in %: share classified as q, step {name}"
            figure = class_matrix(shares, class_names, title=title, percent=True)
            log_figure(trainer, figure, f"evaluation-validity-{name}")
            self._draw_examples(trainer, module, rows, step)
        chosen = _first_pairs(module, rows, _PATHS)
        if chosen is not None:
            images, _, target = chosen
            source, followed = posteriors_along_path(module.explainer, images, target, _T)
            log_figure(trainer, posterior_paths(_T, source, followed), "evaluation-posterior")

    def _draw_examples(
        self, trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows, step: Step
    ) -> None:
        name = step_name(step)
        which = (rows["step"] == name) & rows["defined"] & ~rows["already"]
        order = np.flatnonzero(which)
        order = order[np.argsort(rows["log_prob_after"][order], kind="stable")]
        if len(order) == 0:
            return
        if len(order) > 2 * _EXAMPLES:
            order = np.concatenate((order[:_EXAMPLES], order[-_EXAMPLES:]))
        images, _ = module.data.read(torch.from_numpy(rows["index"][order]))
        target = torch.from_numpy(rows["target"][order])
        cf = module.explainer.explain(images, target, step, undefined="keep")
        log_probs = torch.from_numpy(rows["log_prob_after"][order])
        classes = module.explainer.class_names
        captions = [
            f"{classes[p]} → {classes[q]}, {value:,.0f} nats"
            for p, q, value in zip(
                rows["source"][order], target.tolist(), log_probs.tolist(), strict=True
            )
        ]
        figure = plausibility_examples(
            cf.input.cpu(),
            cf.image_8bit.cpu(),
            log_probs,
            captions,
            count=_EXAMPLES,
            title=f"Image and counterfactual, by log p of the counterfactual, step {name}",
        )
        log_figure(trainer, figure, f"evaluation-examples-{name}")


def _first_pairs(
    module: CounterfactualEvaluation, rows: Rows, count: int
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Images, p and q of the first pairs between which there is a step; None without any."""
    possible = np.flatnonzero(rows["defined"] & ~rows["already"])
    pairs = np.stack((rows["index"][possible], rows["target"][possible]))
    chosen = possible[np.unique(pairs, axis=1, return_index=True)[1]][:count]
    if len(chosen) == 0:
        return None
    device = module.explainer.device
    images, _ = module.data.read(torch.from_numpy(rows["index"][chosen]))
    source, target = (torch.from_numpy(rows[name][chosen]) for name in ("source", "target"))
    return images.to(device), source.to(device), target.to(device)


def _source_note(module: CounterfactualEvaluation, rows: Rows) -> list[str]:
    """How many images are classified as the file of targets says."""
    pairs = module.data.pairs
    if pairs.source is None:
        return []
    index, first = np.unique(rows["index"], return_index=True)
    same = rows["source"][first] == pairs.source[np.searchsorted(pairs.index, index)]
    return [f"{same.sum():,} of {len(same):,} images are classified as the source in the file."]


def _words(reference: float, module: CounterfactualEvaluation) -> list[str]:
    steps = [step_name(step) for step in module.steps]
    return [
        "Means over the counterfactuals that exist, with 95 % bootstrap intervals; of pictures "
        "rounded to 8 bits.",
        f"Plausible: log p above {reference:.1f} nats, the 5 % quantile of these images.",
        *(["At the tipping point p and q tie: the rounding decides between them."]
          if "tipping" in steps else []),
    ]  # fmt: skip


def _area_table(heatmaps: Mapping[str, Any]) -> list[list[str]]:
    rows = [[f"area under the curve, {heatmaps['images']} images", "deletion", "insertion"]]
    for name in heatmaps["deletion"]:
        cells = [heatmaps[kind][name] for kind in ("deletion", "insertion")]
        texts = [f"{c['mean']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells]
        rows.append([name, *texts])
    return rows


def _nested(found: Sequence[Estimate]) -> dict[str, dict[str, Any]]:
    known = {measure.key for measure in MEASURES}
    nested: dict[str, dict[str, Any]] = {}
    for one in found:
        assert one.measure in known
        entry = {"value": one.value, "low": one.low, "high": one.high, "count": one.count}
        nested.setdefault(one.step, {})[one.measure] = entry
    return nested


def _save(path: Path, text: str) -> None:
    """Write a file, never over another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    free_path(path).write_text(text, encoding="utf-8")
