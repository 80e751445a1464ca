"""The pictures of `evaluate`: of all rows, and of a few images that are looked at again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_ecinn.attribution import LABELS
from lightning_ecinn.callbacks.loggers import log_figure
from lightning_ecinn.callbacks.remarks import going_on
from lightning_ecinn.commands.evaluation_loop import CounterfactualEvaluation
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.ecinn.steps import NamedStep
from lightning_ecinn.evaluation import (
    PROPERTIES,
    Rows,
    alpha_name,
    direction_cosines,
    existing,
    faithfulness,
    is_finite,
    most_and_least,
    pair_means,
    pair_survival,
    posteriors_along_path,
)
from lightning_ecinn.figures import (
    alpha_histograms,
    class_matrix,
    correlation_matrices,
    faithfulness_curves,
    plausibility_examples,
    posterior_paths,
)
from lightning_ecinn.metrics import area

__all__ = ["area_table", "draw_evaluation", "draw_faithfulness"]

_PATHS = 256
"""Images whose posteriors along the path are drawn."""
_EXAMPLES = 8
"""Most plausible counterfactuals that are drawn, and least plausible ones."""
_T = np.linspace(0, 2, 41).tolist()
"""Steps along the path, in units of the tipping point."""
_DONE = {"deletion": "blackened", "insertion": "put back into black"}


def draw_evaluation(trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows) -> None:
    """Step lengths, cosines of directions, validity and examples of each alpha, posteriors.

    One that can't be drawn is remarked upon, and the others are drawn.
    """
    names = [alpha_name(alpha) for alpha in module.alphas]
    with _drawing(trainer, "evaluation-alpha"):
        known = existing(rows) & is_finite(rows["alpha"])
        of_step = {name: known & (rows["step"] == name) for name in names}
        lengths = {name: rows["alpha"][of_step[name]].clip(min=0).tolist() for name in names}
        log_figure(trainer, alpha_histograms(lengths), "evaluation-alpha")
    if isinstance(module.explainer, Explainer):  # another classifier has no component means
        with _drawing(trainer, "evaluation-cosines"):
            cosines = direction_cosines(module.explainer.classifier).cpu()
            title = "Cosine of the step from p to q and the shortest way, μq - μp"
            figure = class_matrix(cosines, module.explainer.class_names, title=title)
            log_figure(trainer, figure, "evaluation-cosines")
    for alpha, name in zip(module.alphas, names, strict=True):
        if existing(rows, name).any():
            with _drawing(trainer, f"evaluation-validity-{name}"):
                _draw_validity(trainer, module, rows, name)
            with _drawing(trainer, f"evaluation-examples-{name}"):
                _draw_examples(trainer, module, rows, alpha)
        if module.survival and existing(rows, name).any():
            with _drawing(trainer, f"evaluation-survival-{name}"):
                _draw_survival(trainer, module, rows, name)
    with _drawing(trainer, "evaluation-posterior"):
        chosen = _first_pairs(module, rows, _PATHS)
        if chosen is not None:
            images, _, target = chosen
            source, followed = posteriors_along_path(module.explainer, images, target, _T)
            log_figure(trainer, posterior_paths(_T, source, followed), "evaluation-posterior")


def draw_faithfulness(
    trainer: pl.Trainer,
    module: CounterfactualEvaluation,
    rows: Rows,
    count: int,
    interval: Callable[[Tensor], tuple[float, float]],
) -> dict[str, Any]:
    """Draw deletion and insertion curves; return the areas under them, {} if there are none.

    Args:
        trainer: knows folder and loggers.
        module: has measured the rows.
        rows: say which pairs of images and targets there are.
        count: of these pairs the first so many.
        interval: of the mean of values (N,).
    """
    chosen = _first_pairs(module, rows, count)
    if chosen is None:
        return {}
    areas: dict[str, Any] = {}
    with _drawing(trainer, "The deletion and insertion curves"):
        areas = _faithfulness(trainer, module, chosen, interval)
    return areas


def _faithfulness(
    trainer: pl.Trainer,
    module: CounterfactualEvaluation,
    chosen: tuple[Tensor, Tensor, Tensor],
    interval: Callable[[Tensor], tuple[float, float]],
) -> dict[str, Any]:
    images, source, target = chosen
    areas: dict[str, Any] = {"images": len(images)}
    for kind, curves in faithfulness(module.explainer, images, source, target).items():
        curves = {LABELS[method]: curve.double().cpu() for method, curve in curves.items()}
        figure = faithfulness_curves(
            {name: curve.mean(0) for name, curve in curves.items()},
            {name: _band(curve, interval) for name, curve in curves.items()},
            title=f"{kind.capitalize()}: posterior of the source, {len(images)} images",
            xlabel=f"share of the pixels {_DONE[kind]}, largest first",
        )
        log_figure(trainer, figure, f"evaluation-{kind}")
        areas[kind] = {name: _mean(area(curve), interval) for name, curve in curves.items()}
    return areas


def _drawing(trainer: pl.Trainer, what: str) -> AbstractContextManager[None]:
    return going_on(trainer, f"{what} could not be drawn")


def _draw_validity(
    trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows, name: str
) -> None:
    shares = pair_means(rows, "validity", name, module.explainer.num_classes)
    title = f"Validity in %: share classified as q, step {name}"
    figure = class_matrix(shares, module.explainer.class_names, title=title, percent=True)
    log_figure(trainer, figure, f"evaluation-validity-{name}")


def _draw_survival(
    trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows, name: str
) -> None:
    """Rank correlations of each pair of classes, unless no pair has enough counterfactuals."""
    explainer = module.explainer
    matrices = {
        one.title: pair_survival(rows, one.key, name, explainer.num_classes) for one in PROPERTIES
    }
    numbers = [number for matrix in matrices.values() for row in matrix for number in row]
    if any(number is not None for number in numbers):
        title = f"Rank correlation of image (row: p) and counterfactual (column: q), step {name}"
        figure = correlation_matrices(matrices, explainer.class_names, title=title)
        log_figure(trainer, figure, f"evaluation-survival-{name}")


def _band(
    curves: Tensor, interval: Callable[[Tensor], tuple[float, float]]
) -> tuple[Tensor, Tensor]:
    ends = [interval(column) for column in curves.unbind(1)]
    low, high = torch.tensor(ends, dtype=torch.float64).unbind(1)
    return low, high


def _mean(values: Tensor, interval: Callable[[Tensor], tuple[float, float]]) -> dict[str, float]:
    low, high = interval(values)
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def _draw_examples(
    trainer: pl.Trainer, module: CounterfactualEvaluation, rows: Rows, alpha: NamedStep | float
) -> None:
    """The most and the least plausible counterfactuals of an alpha, made once more."""
    name = alpha_name(alpha)
    order = np.concatenate(most_and_least(rows, name, _EXAMPLES))
    if len(order) == 0:
        return
    images, _ = module.data.read(torch.from_numpy(rows["index"][order]))
    target, log_probs = (torch.from_numpy(rows[k][order]) for k in ("target", "log_prob_after"))
    cf = module.explainer.explain(images, target, alpha, undefined="keep")
    classes = module.explainer.class_names
    numbers = zip(rows["source"][order], target.tolist(), log_probs.tolist(), strict=True)
    figure = plausibility_examples(
        cf.input.cpu(),
        cf.image_8bit.cpu(),
        log_probs,
        [f"{classes[p]} → {classes[q]}, {value:,.0f} nats" for p, q, value in numbers],
        count=_EXAMPLES,
        title=f"Image and counterfactual, by log p of the counterfactual, step {name}",
    )
    log_figure(trainer, figure, f"evaluation-examples-{name}")


def _first_pairs(
    module: CounterfactualEvaluation, rows: Rows, count: int
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Images, p and q of the first pairs between which there is a step; None without any."""
    possible = np.flatnonzero(existing(rows) & is_finite(rows["target_posterior"]))
    pairs = np.stack((rows["index"][possible], rows["target"][possible]))
    chosen = possible[np.unique(pairs, axis=1, return_index=True)[1]][:count]
    if len(chosen) == 0:
        return None
    device = module.explainer.device
    images, _ = module.data.read(torch.from_numpy(rows["index"][chosen]))
    source, target = (torch.from_numpy(rows[name][chosen]) for name in ("source", "target"))
    return images.to(device), source.to(device), target.to(device)


def area_table(heatmaps: Mapping[str, Any]) -> list[list[str]]:
    """The areas that :func:`draw_faithfulness` found, for people."""
    rows = [[f"area under the curve, {heatmaps['images']} images", "deletion", "insertion"]]
    for name in heatmaps["deletion"]:
        cells = [heatmaps[kind][name] for kind in ("deletion", "insertion")]
        texts = [f"{c['mean']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells]
        rows.append([name, *texts])
    return rows
