"""The part of `evaluate` that lets a network tell counterfactuals from real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytorch_lightning as pl
import torch

from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation
from lightning_ecinn.evaluation import Estimate, Rows, alpha_name, realism
from lightning_ecinn.metrics.two_sample import FEWEST

__all__ = ["Realism", "measure_realism"]


@dataclass(frozen=True)
class Realism:
    """What was found.

    Attributes:
        estimates: accuracy and AUC of each alpha.
        directions: where there are two classes, the same of each direction, such as "3 → 8".
        notes: sentences on what it is of, and what is left out.
    """

    estimates: list[Estimate] = field(default_factory=list)
    directions: dict[str, list[Estimate]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def measure_realism(
    trainer: pl.Trainer,
    module: CounterfactualEvaluation,
    pictures: Rows,
    *,
    repeats: int,
    bootstrap: int,
    seed: int,
) -> Realism:
    """Train networks to tell counterfactuals from real images, for each alpha.

    What can't be measured is left out, with a note or a remark.

    Args:
        trainer: whose progress is shown.
        module: has made the pictures.
        pictures: all that were kept, by `evaluation.realism_pictures`.
        repeats: networks of each alpha.
        bootstrap: samples of the intervals.
        seed: of halves, networks and intervals.
    """
    found, sample = Realism(), module.realism_sample
    if sample is None or not pictures:
        return found
    names, shown = module.explainer.class_names, trainer.progress_bar_callback is not None
    targets: dict[str, int | None] = {"": None}
    if len(names) == 2:
        targets |= {f"{names[1 - q]} → {names[q]}": q for q in (1, 0)}
    missing = []
    with going_on(trainer, "What is told apart from real images could not be measured"):
        real = module.data.pictures(torch.from_numpy(sample.real))
        for alpha in map(alpha_name, module.alphas):
            for way, target in targets.items():
                title = f"telling apart: {', '.join(filter(None, (alpha, way)))}"
                new = realism(
                    pictures, sample, real, alpha, target, repeats=repeats, samples=bootstrap,
                    seed=seed, device=module.device, progress=title if shown else None,
                )  # fmt: skip
                if not new:
                    missing.append(f"{alpha} ({way})" if way else alpha)
                elif way:
                    found.directions.setdefault(way, []).extend(new)
                else:
                    found.estimates.extend(new)
        found.notes.extend(_notes(found.estimates, missing, repeats))
    return found


def _notes(found: Sequence[Estimate], missing: Sequence[str], repeats: int) -> list[str]:
    notes = []
    if found:
        sizes = sorted({one.count for one in found})
        counts = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        half = "one half" if repeats == 1 else f"one half, {repeats} times,"
        notes.append(
            f"Told apart: {counts} counterfactuals and as many real images of their classes; a "
            f"network learned from {half} and was tried on the other. 50 % is perfect."
        )
    if missing:
        notes.append(
            f"Not told apart: {', '.join(missing)}, with fewer than {FEWEST} counterfactuals that "
            "have a real image of their class beside them."
        )
    return notes
