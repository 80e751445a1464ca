"""What `evaluate` leaves: tables, rows and pictures in the run's folder and the loggers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from lightning_ecinn.callbacks.loggers import log_numbers, log_table
from lightning_ecinn.callbacks.new_files import save_new_text
from lightning_ecinn.callbacks.prediction_writer import others_waiting
from lightning_ecinn.commands.evaluation_audit import Audit, audit
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation
from lightning_ecinn.commands.evaluation_pages import write_pages
from lightning_ecinn.commands.evaluation_pictures import (
    area_table,
    draw_evaluation,
    draw_faithfulness,
)
from lightning_ecinn.commands.evaluation_realism import Realism, measure_realism
from lightning_ecinn.evaluation import (
    Counts,
    Direction,
    Estimate,
    Rows,
    Survival,
    alpha_name,
    by_direction,
    comparison_table,
    counted,
    estimates,
    measures_of,
    reference_quantile,
    survival_estimates,
    survival_tables,
    survival_values,
    surviving,
    with_plausibility,
)
from lightning_ecinn.figures import as_csv, as_markdown, text_table
from lightning_ecinn.figures.tables import as_json
from lightning_ecinn.metrics import bootstrap_interval
from lightning_ecinn.plain_text import plain
from lightning_ecinn.whole_files import WriteError

__all__ = ["EvaluationReport"]

Table = list[list[str]]

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
    survival: Sequence[Survival]
    directions: Mapping[str, Direction]
    audit: Audit = field(default_factory=Audit)

    @property
    def every(self) -> list[Estimate]:
        """All numbers about all directions together."""
        return [*self.estimates, *survival_estimates(self.survival)]


class EvaluationReport(pl.Callback):
    """Report on what a :class:`CounterfactualEvaluation` has measured, from the first process.

    Args:
        settings: what is evaluated, plain values: written beside the results.
        notes: sentences that are shown with them.
        bootstrap: samples of the intervals.
        deletion: images of the deletion and insertion curves; 0 for none.
        told_apart: networks that tell counterfactuals of each step from real images; 0 for none.
        pages: whether pages of examples are written.
        audited: whether mean changes are looked at, and what the classifier uses.
        seed: of the intervals and of these networks.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        notes: Sequence[str] = (),
        *,
        bootstrap: int = 1000,
        deletion: int = 64,
        told_apart: int = 0,
        pages: bool = True,
        audited: bool = True,
        seed: int = 0,
    ):
        self.settings = dict(settings)
        self.notes = list(notes)
        self.bootstrap = bootstrap
        self.deletion = deletion
        self.told_apart = told_apart
        self.pages = pages
        self.audited = audited
        self.seed = seed

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gather, then report; the other processes wait.

        Raises:
            ValueError: there is no counterfactual at all; what was counted is written.
            WriteError: a file can't be written; the others are, and the table is on the screen.
        """
        assert isinstance(pl_module, CounterfactualEvaluation)
        rows, pictures = pl_module.gather(), pl_module.gather_pictures()
        with others_waiting(trainer, "evaluation written"):
            if rows is not None:
                self._report(trainer, pl_module, rows, pictures or {})

    def _report(
        self, trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows, pictures: Rows
    ) -> None:
        if not rows or not len(rows["index"]):
            raise ValueError(
                "There is nothing to evaluate: every image already is its target, or there is none."
            )
        reference = reference_quantile(rows)
        rows = with_plausibility(rows, reference)
        names = [alpha_name(alpha) for alpha in module.alphas]
        sampled = {"samples": self.bootstrap, "seed": self.seed}
        interval = partial(bootstrap_interval, samples=self.bootstrap, seed=self.seed)
        found = _Found(
            title=_title(module, rows),
            rows=rows,
            reference=reference,
            counts=counted(rows, names),
            estimates=estimates(rows, names, **sampled),
            heatmaps=draw_faithfulness(trainer, module, rows, self.deletion, interval),
            notes=[*self.notes, *_source_note(module, rows), *_words(reference, module)],
            survival=surviving(rows, names, **sampled),
            directions=by_direction(rows, names, module.explainer.class_names, **sampled),
        )
        settings = {"repeats": self.told_apart, "bootstrap": self.bootstrap, "seed": self.seed}
        if self.told_apart:
            found = _with_realism(found, measure_realism(trainer, module, pictures, **settings))
        seen = audit(trainer, module, pictures) if self.audited else Audit()
        found = replace(found, audit=seen, notes=[*found.notes, *seen.notes])
        tables = _tables(found)
        _show(found, tables)
        failures = self._write(Path(trainer.default_root_dir), found, tables)
        draw_evaluation(trainer, module, rows)
        if self.pages:
            write_pages(trainer, module, rows)
        heading, *lines = tables[0]
        log_table(trainer, [["measure", *heading[1:]], *lines], "evaluation")
        values = {f"evaluation/{one.alpha}/{one.measure}": one.value for one in found.every}
        log_numbers(trainer, values)
        if failures:
            raise failures[0]
        _refuse_nothing(found.counts)

    def _write(self, folder: Path, found: _Found, tables: Sequence[Table]) -> list[WriteError]:
        """Write every file that can be, and return why others could not."""
        written = [name for name in found.rows if name not in _NOT_WRITTEN]
        lines = zip(*(found.rows[name].tolist() for name in written), strict=True)
        header = ("step", "measure", "value", "low", "high", "count")
        content = as_json(self._content(found))
        markdown = [f"# {plain(found.title)}", *map(as_markdown, tables), *map(plain, found.notes)]
        texts = {
            "evaluation.md": "\n\n".join(markdown) + "\n",
            "evaluation.csv": as_csv(header, map(_cells, found.every)),
            "evaluation.json": content,
            "counterfactuals.csv": as_csv(written, lines),
        }
        paths, failures = [], []
        for name, text in texts.items():
            try:
                paths.append(save_new_text(folder / name, text))
            except WriteError as error:
                failures.append(error)
        if paths:
            names = ", ".join(path.name for path in paths)
            print(plain(f"Wrote {names} to {folder}"))
        return failures

    def _content(self, found: _Found) -> dict[str, Any]:
        """For programs, what evaluation.md says and more."""
        return {
            "settings": self.settings,
            "plausibility_reference": found.reference,
            "counts": _by_alpha(found.counts),
            "measures": _nested(found.estimates),
            "directions": {
                name: {"counts": _by_alpha(one.counts), "measures": _nested(one.estimates)}
                for name, one in found.directions.items()
            },
            "survival": survival_values(found.survival),
            "heatmaps": found.heatmaps,
            "audit": found.audit.content,
            "notes": list(found.notes),
        }


def _with_realism(found: _Found, realism: Realism) -> _Found:
    directions = {
        name: replace(one, estimates=[*one.estimates, *realism.directions.get(name, [])])
        for name, one in found.directions.items()
    }
    return replace(
        found,
        estimates=[*found.estimates, *realism.estimates],
        directions=directions,
        notes=[*found.notes, *realism.notes],
    )


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
        f"Plausible: log p above {reference:.1f} nats, the 5 % quantile of these images."
        if math.isfinite(reference) else "No image has a log p that is a number.",
        *(["At the tipping point p and q tie: the rounding decides between them."]
          if "tipping" in module.alphas else []),
    ]  # fmt: skip


def _cells(one: Estimate) -> tuple[object, ...]:
    return one.alpha, one.measure, one.value, one.low, one.high, one.count


def _nested(found: Sequence[Estimate]) -> dict[str, dict[str, Any]]:
    known = {measure.key for measure in measures_of(one.measure for one in found)}
    nested: dict[str, dict[str, Any]] = {}
    for one in found:
        assert one.measure in known
        entry = {"value": one.value, "low": one.low, "high": one.high, "count": one.count}
        nested.setdefault(one.alpha, {})[one.measure] = entry
    return nested


def _by_alpha(counts: Sequence[Counts]) -> dict[str, dict[str, int]]:
    plain_counts = {count.alpha: asdict(count) for count in counts}
    return {k: {n: v for n, v in c.items() if n != "alpha"} for k, c in plain_counts.items()}


def _tables(found: _Found) -> list[Table]:
    return [
        comparison_table(found.estimates, found.counts),
        *(
            comparison_table(one.estimates, one.counts, title=name)
            for name, one in found.directions.items()
        ),
        *survival_tables(found.survival),
        *([area_table(found.heatmaps)] if found.heatmaps else []),
        *found.audit.tables,
    ]


def _show(found: _Found, tables: Sequence[Table]) -> None:
    notes = "\n".join(map(plain, found.notes))
    print("\n\n".join([f"{plain(found.title)}:", *map(text_table, tables), notes]), flush=True)


def _refuse_nothing(counts: Sequence[Counts]) -> None:
    """An evaluation of nothing is no success."""
    if any(count.exist > count.unknown for count in counts):
        return
    asked, already = (sum(getattr(c, name) for c in counts) for name in ("asked", "already"))
    unknown = sum(count.unknown for count in counts)
    raise ValueError(
        f"None of {asked:,} counterfactuals exists: {already:,} images already are their target, "
        f"{unknown:,} have a log p that is no number, and to the other "
        f"{asked - already - unknown:,} no step leads."
    )
