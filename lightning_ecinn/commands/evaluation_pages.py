"""The pages of `evaluate`: its best, worst and failed counterfactuals, to play with."""

from __future__ import annotations

import numpy as np
import pytorch_lightning as pl
import torch

from lightning_ecinn.callbacks.loggers import log_page
from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation
from lightning_ecinn.evaluation import Rows, examples
from lightning_ecinn.page import counterfactual_page, room

__all__ = ["write_pages"]

_IMAGES = 8
"""Of one page: as many as the picture of examples shows."""
_TITLES = {
    "best": "The most plausible counterfactuals",
    "worst": "The least plausible counterfactuals",
    "failed": "Counterfactuals that are not classified as asked",
}


def write_pages(trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows) -> None:
    """Write ``pictures/evaluation-best.html``, ``-worst`` and ``-failed``, where there are such.

    They are chosen at the convincing step or, where that is not evaluated, at the last one. What
    can't be written is remarked upon.
    """
    step = module.shown_step
    count = min(_IMAGES, room(module.explainer.num_classes))
    for kind, chosen in examples(rows, step, count).items():
        with going_on(trainer, f"evaluation-{kind} could not be written"):
            page = _page(module, rows, chosen, f"{_TITLES[kind]}, step {step}")
            log_page(trainer, page, f"evaluation-{kind}")


def _page(module: CounterfactualEvaluation, rows: Rows, chosen: np.ndarray, title: str) -> str:
    """Images of the chosen rows to all classes, first to those that they were to become."""
    images, labels = module.data.read(torch.from_numpy(rows["index"][chosen]))
    classes = module.explainer.class_names
    columns = [rows[name][chosen].tolist() for name in ("index", "source", "target")]
    names = [f"{i}: {classes[p]} → {classes[q]}" for i, p, q in zip(*columns, strict=True)]
    return counterfactual_page(
        module.explainer, images, labels=labels, names=names, first=columns[2], title=title
    )
