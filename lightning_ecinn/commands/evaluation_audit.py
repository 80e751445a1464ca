"""The audit of `evaluate`: what the mean change looks like, and what the classifier uses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_ecinn.callbacks.loggers import log_figure
from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation
from lightning_ecinn.evaluation import (
    FactorUse,
    PairChange,
    Rows,
    factor_use,
    mean_changes,
)
from lightning_ecinn.figures import direction_atlas

__all__ = ["Audit", "audit"]

_PAIRS = 20
"""Lines of the table."""
_CLASSES = 10
"""That are drawn, at most."""


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        step: of the counterfactuals.
        pairs: the changes from class to class, the most frequent first.
        factors: how much each known factor is used, by name.
        class_names: of the classifier.
    """

    step: str = ""
    pairs: Sequence[PairChange] = ()
    factors: dict[str, FactorUse] = field(default_factory=dict)
    class_names: Sequence[str] = ()

    @property
    def tables(self) -> list[list[list[str]]]:
        """For people; none of nothing."""
        found = []
        if self.pairs:
            heading = [f"audit, step {self.step}", "counterfactuals", "consistency", "L1"]
            rows = [
                [
                    self._name(one),
                    f"{one.count:,}",
                    f"{one.consistency:.3f}" if math.isfinite(one.consistency) else "–",
                    f"{one.l1:.2f}",
                ]
                for one in self.pairs[:_PAIRS]
            ]
            found.append([heading, *rows])
        if self.factors:
            heading = [
                "what is in the images", "answers that change with it, %",
                "share of the squared change in its pixels, %", "of all pixels, %",
            ]  # fmt: skip
            rows = [
                [name, *(f"{100 * v:.1f}" for v in (use.answers, use.share, use.area))]
                for name, use in self.factors.items()
            ]
            found.append([heading, *rows])
        return found

    @property
    def notes(self) -> list[str]:
        """How to read it."""
        if not self.pairs:
            return []
        notes = [
            "Audit: consistency is the mean cosine of two images' changes, 1 if all change alike."
        ]
        if len(self.pairs) > _PAIRS:
            notes.append(f"{_PAIRS} of {len(self.pairs)} pairs of classes are listed.")
        if self.factors:
            first = next(iter(self.factors.values()))
            notes.append(
                f"What is in the images: {first.asked:,} of them were made again with one thing "
                f"switched, and the classifier asked; of {first.explained:,} counterfactuals, "
                "where the change lies. Pixels of several things overlap."
            )
        return notes

    @property
    def content(self) -> dict[str, Any]:
        """For programs."""
        pairs = {
            self._name(one): {
                "count": one.count,
                "consistency": one.consistency,
                "l1": one.l1,
            }
            for one in self.pairs
        }
        factors = {name: asdict(use) for name, use in self.factors.items()}
        return {"step": self.step, "pairs": pairs, "factors": factors}

    def _name(self, one: PairChange) -> str:
        return f"{self.class_names[one.source]} → {self.class_names[one.target]}"


def audit(trainer: pl.Trainer, module: CounterfactualEvaluation, pictures: Rows) -> Audit:
    """Look at the counterfactuals that were kept, and draw their mean changes.

    Of the convincing step or, where that is not evaluated, of the last one. What can't be had is
    left out, with a remark.

    Args:
        trainer: knows folder and loggers.
        module: has made the counterfactuals.
        pictures: those that were kept, by `evaluation.realism_pictures`.
    """
    step, found = module.shown_step, Audit()
    if not pictures or not (pictures["step"] == step).any():
        return found
    with going_on(trainer, "The audit could not be made"):
        chosen = pictures["step"] == step
        index, source, target, made = (
            torch.from_numpy(pictures[name][chosen])
            for name in ("index", "source", "target", "picture")
        )
        images = module.data.pictures(index)
        pairs = mean_changes(images, made, source, target)
        changes = (made.double() - images.double()) / 255
        factors = _factors(module, index, source, changes)
        found = Audit(step, pairs, factors, module.explainer.class_names)
        _draw(trainer, found, images, source)
    return found


def _factors(
    module: CounterfactualEvaluation, index: Tensor, source: Tensor, changes: Tensor
) -> dict[str, FactorUse]:
    """How much every factor is used that the data know; each image is asked about once.

    Args:
        module: has made the counterfactuals.
        index: numbers (n,) of their images.
        source: what these are classified as, (n,).
        changes: (n, C, H, W).
    """
    each, place = index.unique(return_inverse=True)
    before = torch.empty_like(each).index_copy_(0, place, source)
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for some in each.split(module.data.batch_size):
        for name, factor in module.data.factors(some).items():
            said = module.explainer.posterior(factor.switched).argmax(1).cpu()
            parts.setdefault(name, []).append((said, factor.pixels))
    found = {}
    for name, some_parts in parts.items():
        after, pixels = (torch.cat(column) for column in zip(*some_parts, strict=True))
        found[name] = factor_use(before, after, changes, pixels[place])
    return found


def _draw(trainer: pl.Trainer, found: Audit, images: Tensor, source: Tensor) -> None:
    """The mean image of each class as it is classified, and the mean changes."""
    classes = source.bincount(minlength=len(found.class_names))
    shown = [one for one in found.pairs if classes[one.target] and classes[one.source]]
    most = set(classes.argsort(descending=True, stable=True)[:_CLASSES].tolist())
    shown = [one for one in shown if {one.source, one.target} <= most]
    if not shown:
        return
    means = torch.zeros(len(found.class_names), *images.shape[1:])
    for k in sorted(most):
        if classes[k]:
            means[k] = images[source == k].float().mean(0) / 255
    order = sorted(shown, key=lambda one: (one.source, one.target))
    figure = direction_atlas(
        means,
        [(one.source, one.target) for one in order],
        found.class_names,
        changes=[one.change for one in order],
        title=f"mean changes, step {found.step}",
        note="Pictures: the mean of the images that are classified so. Red and blue: the mean of "
        "counterfactual minus image, from source p to target q; red is brighter in the "
        "counterfactual, blue darker; summed over channels, where black is 0 and white 1.",
    )
    log_figure(trainer, figure, "evaluation-audit")
