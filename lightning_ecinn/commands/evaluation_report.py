"""What `evaluate` leaves: tables, rows and pictures in the run's folder and the loggers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from lightning_ecinn.callbacks.loggers import find_free_path, log_numbers, log_table
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation
from lightning_ecinn.commands.evaluation_pictures import draw_evaluation, draw_faithfulness
from lightning_ecinn.evaluation import (
    MEASURES,
    Counts,
    Estimate,
    Rows,
    alpha_name,
    comparison_table,
    counted,
    estimates,
    reference_quantile,
    with_plausibility,
)
from lightning_ecinn.figures import as_csv, as_markdown, text_table
from lightning_ecinn.metrics import bootstrap_interval

__all__ = ["EvaluationReport"]

_NOT_WRITTEN = ("features", "input_features", "seconds")
"""Columns that are no part of counterfactuals.csv: long, or different each time."""


@dataclass(frozen=True)
class _Found:
    """All that was found, of rows (R,) on."""

    title: str
    rows: Rows
    reference: float
    counts: Sequence[Counts]
    estimates: Sequence[Estimate]
    heatmaps: Mapping[str, Any]
    notes: Sequence[str]


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
        rows = pl_module.gather()
        if rows is not None:
            self._report(trainer, pl_module, rows)
        trainer.strategy.barrier("evaluation written")

    def _report(self, trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows) -> None:
        reference = reference_quantile(rows)
        rows = with_plausibility(rows, reference)
        names = [alpha_name(alpha) for alpha in module.alphas]
        interval = partial(bootstrap_interval, samples=self.bootstrap, seed=self.seed)
        found = _Found(
            title=_title(module, rows),
            rows=rows,
            reference=reference,
            counts=counted(rows, names),
            estimates=estimates(rows, names, samples=self.bootstrap, seed=self.seed),
            heatmaps=draw_faithfulness(trainer, module, rows, self.deletion, interval),
            notes=[*self.notes, *_source_note(module, rows), *_words(reference, module)],
        )
        self._write(trainer, found)
        draw_evaluation(trainer, module, rows)

    def _write(self, trainer: pl.Trainer, found: _Found) -> None:
        table = comparison_table(found.estimates, found.counts)
        tables = [table, *([_area_table(found.heatmaps)] if found.heatmaps else [])]
        print("\n\n".join([f"{found.title}:", *map(text_table, tables), "\n".join(found.notes)]))
        folder = Path(trainer.default_root_dir)
        markdown = [f"# {found.title}", *map(as_markdown, tables), *found.notes]
        _save(folder / "evaluation.md", "\n\n".join(markdown) + "\n")
        header = ("step", "measure", "value", "low", "high", "count")
        _save(folder / "evaluation.csv", as_csv(header, map(_cells, found.estimates)))
        written = [name for name in found.rows if name not in _NOT_WRITTEN]
        lines = zip(*(found.rows[name].tolist() for name in written), strict=True)
        _save(folder / "counterfactuals.csv", as_csv(written, lines))
        content = json.dumps(self._content(found), indent=1, allow_nan=False)
        _save(folder / "evaluation.json", content + "\n")
        print(f"Wrote evaluation.md, .csv and .json and counterfactuals.csv to {folder}")
        log_table(trainer, [["measure", *table[0][1:]], *table[1:]], "evaluation")
        values = {f"evaluation/{one.alpha}/{one.measure}": one.value for one in found.estimates}
        log_numbers(trainer, values)

    def _content(self, found: _Found) -> dict[str, Any]:
        """For programs, what evaluation.md says and more."""
        counts = {count.alpha: asdict(count) for count in found.counts}
        return {
            "settings": self.settings,
            "plausibility_reference": found.reference,
            "counts": {k: {n: v for n, v in c.items() if n != "alpha"} for k, c in counts.items()},
            "measures": _nested(found.estimates),
            "heatmaps": found.heatmaps,
            "notes": list(found.notes),
        }


def _title(module: CounterfactualEvaluation, rows: Rows) -> str:
    data, count = module.data, len(np.unique(rows["index"]))
    images = f"images of {data.images}" if data.images else f"{data.split} images"
    return f"Counterfactuals of {count:,} {images}"


def _source_note(module: CounterfactualEvaluation, rows: Rows) -> list[str]:
    """How many images are classified as the file of targets says."""
    pairs = module.data.pairs
    if pairs.source is None:
        return []
    index, first = np.unique(rows["index"], return_index=True)
    same = rows["source"][first] == pairs.source[np.searchsorted(pairs.index, index)]
    return [f"{same.sum():,} of {len(same):,} images are classified as the source in the file."]


def _words(reference: float, module: CounterfactualEvaluation) -> list[str]:
    return [
        "Means over the counterfactuals that exist, with 95 % bootstrap intervals; of pictures "
        "rounded to 8 bits.",
        f"Plausible: log p above {reference:.1f} nats, the 5 % quantile of these images.",
        *(["At the tipping point p and q tie: the rounding decides between them."]
          if "tipping" in module.alphas else []),
    ]  # fmt: skip


def _area_table(heatmaps: Mapping[str, Any]) -> list[list[str]]:
    rows = [[f"area under the curve, {heatmaps['images']} images", "deletion", "insertion"]]
    for name in heatmaps["deletion"]:
        cells = [heatmaps[kind][name] for kind in ("deletion", "insertion")]
        texts = [f"{c['mean']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells]
        rows.append([name, *texts])
    return rows


def _cells(one: Estimate) -> tuple[object, ...]:
    return one.alpha, one.measure, one.value, one.low, one.high, one.count


def _nested(found: Sequence[Estimate]) -> dict[str, dict[str, Any]]:
    known = {measure.key for measure in MEASURES}
    nested: dict[str, dict[str, Any]] = {}
    for one in found:
        assert one.measure in known
        entry = {"value": one.value, "low": one.low, "high": one.high, "count": one.count}
        nested.setdefault(one.alpha, {})[one.measure] = entry
    return nested


def _save(path: Path, text: str) -> None:
    """Write a file, never over another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    find_free_path(path).write_text(text, encoding="utf-8")
