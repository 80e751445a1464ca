"""The paper's figures one by one: what each shows, and what it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.attribution import LABELS
from lightning_ecinn.callbacks import CounterfactualGrid
from lightning_ecinn.callbacks.end_of_run import NothingToDrawError
from lightning_ecinn.commands.paper_models import PaperModels
from lightning_ecinn.comparison import FIGURE_9, UNITS, explain_by, table_row
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.figures import heatmap_table, magnified, picture_grid, picture_squares
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.training.batches import draw_baselines

__all__ = ["DRAWN"]

_CORNER = (10, 2)
"""Rows and columns of FakeMNIST's pictures that Figures 3 and 4 enlarge."""

_IN_A_ROW = 5
"""Pictures in each row of Figure 3."""

_SQUARE = 25
"""Images in each square of Figure 10."""

_TARGET = 3
"""The class that they are changed to."""


def _figure_3(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """One image of each class, with the corner that holds the class."""
    if not models.is_fake:
        raise NothingToDrawError("it needs FakeMNIST, as in --ckpt_path pretrained:fake_mnist.")
    images, labels = models.images
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    classes = sorted(set(labels.tolist()))
    first = [images[order[labels[order] == k][0]] for k in classes]
    pictures = [magnified(as_float(image), *_CORNER) for image in first]
    names = [f"y = {k}" for k in classes]
    return picture_grid(
        [pictures[:_IN_A_ROW], pictures[_IN_A_ROW:]],
        captions=[names[:_IN_A_ROW], names[_IN_A_ROW:]],
        title=f"{heading}: an image of each class, and enlarged the pixels that say it",
        gap=0.15,
    )


def _figure_4(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """One image to every other class, of FakeMNIST."""
    if not models.is_fake:
        raise NothingToDrawError(
            "it needs a model of FakeMNIST, as in --ckpt_path pretrained:fake_mnist."
        )
    source = turn % models.num_classes
    return _grid(models, seed, heading, selection="one_image", source=source, magnify=_CORNER)


def _figure_5(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """One image to every other class."""
    _check_many_classes(models)
    source = (min(3, models.num_classes - 1) + turn) % models.num_classes
    return _grid(models, seed, heading, selection="one_image", source=source)


def _figure_6(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """One image of each class to the same one."""
    _check_many_classes(models)
    target = turn % models.num_classes
    return _grid(models, seed, heading, selection="one_per_class", target=target)


def _figure_7(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """Several images of one class to another one."""
    _check_many_classes(models)
    return _grid(models, seed, heading, selection="one_class", **_pair(models))


def _figure_s7(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """Several images, each with several steps."""
    corner = _CORNER if models.is_fake else None
    return _grid(models, seed, heading, selection="step_sweep", magnify=corner, **_pair(models))


def _figure_8(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """Images of both classes, each to the other one."""
    if models.num_classes != 2:
        raise NothingToDrawError(
            "it needs a model of two classes, such as one that fit --config faces.yaml made."
        )
    chosen: dict[str, Any] = {"source": 0, "target": 1, "count": 10}
    return _grid(models, seed, heading, selection="both_directions", **chosen)


def _figure_9(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """Heatmaps of all models for the same image, a row each."""
    if len(models.all) < 2:
        raise NothingToDrawError("it needs a second model: give --ckpt_path of both.")
    models.correct.shuffle(seed)
    try:
        image = models.correct.images[models.correct.indices(1)]
    except LookupError as error:
        raise NothingToDrawError(error.args[0]) from None
    baselines = draw_baselines(models.trainer, "training images", 10, seed)
    rows, target = [], None
    for number, (model, name) in enumerate(zip(models.all, models.names, strict=True)):
        is_same = models.num_classes > 2 and models.fits(number)  # one question for all
        asked: dict[str, Any] = {"target": target if is_same else None, "name": name, "seed": seed}
        explained = explain_by(model, image, baselines=baselines, **asked)
        target = int(explained.target[0]) if target is None else target
        rows.append(table_row(explained, 0, FIGURE_9))
    columns = [LABELS[method] for method in FIGURE_9]
    return heatmap_table(rows, columns, title=f"{heading}: heatmaps of one image", note=UNITS)


def _figure_10(models: PaperModels, seed: int, turn: int, heading: str) -> Figure:
    """The same images to one class, by models of several betas."""
    chosen = [
        number
        for number, beta in enumerate(models.betas)
        if beta is not None and isinstance(models.all[number], Explainer) and models.fits(number)
    ]
    if len({models.betas[number] for number in chosen}) < 2:
        raise NothingToDrawError(
            "it needs models of several betas: sweep --model.beta 0.1 0.5 1 trains them, --sweep "
            "FOLDER takes them."
        )
    images, labels = models.images
    target = min(_TARGET, models.num_classes - 1)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    inputs = images[order[labels[order] != target][:_SQUARE]]
    squares, captions = [as_float(inputs)], ["\ninput"]
    for number in sorted(chosen, key=lambda number: float(models.betas[number] or 0)):
        beta, share = models.betas[number], 100 * models.accuracy(number)
        squares.append(_changed(models.all[number], inputs, target))
        whose = f"{models.names[number]}, " if models.betas.count(beta) > 1 else ""
        captions.append(f"{whose}β = {beta:g}\n{share:.2f} % correct")
    name = models.all[chosen[0]].class_names[target]
    count = f"{len(labels):,} {models.split} images"
    title = f"{heading}: all to {name}, step α₁; above each, β and the accuracy on {count}"
    return picture_squares(squares, captions, title=title)


def _changed(explainer: Explainer, images: Tensor, target: int) -> Tensor:
    """Convincing counterfactuals (N, C, H, W), NaN where no step leads to one."""
    with torch.inference_mode():
        cf = explainer.explain(images, target, "convincing", undefined="keep")
    is_there = (cf.defined | (cf.source == cf.target)).view(-1, 1, 1, 1)
    return cf.image.where(is_there, torch.nan).cpu()


def _grid(models: PaperModels, seed: int, heading: str, **settings: Any) -> Figure:
    explainer = models.explainer
    models.correct.shuffle(seed)
    grid = CounterfactualGrid(**settings)
    return grid.figure(models.trainer, explainer, models.correct, heading)


def _pair(models: PaperModels) -> dict[str, int]:
    """The classes of Figure 7, four and nine, or the first and the last."""
    source, target = (4, 9) if models.num_classes == 10 else (0, models.num_classes - 1)
    return {"source": source, "target": target}


def _check_many_classes(models: PaperModels) -> None:
    if models.is_fake or models.num_classes < 3:
        raise NothingToDrawError(
            "it needs a model of three classes or more that a picture shows as a whole, as in "
            "--ckpt_path pretrained:mnist."
        )


DRAWN: dict[str, Callable[[PaperModels, int, int, str], Figure]] = {
    "3": _figure_3,
    "4": _figure_4,
    "5": _figure_5,
    "6": _figure_6,
    "7": _figure_7,
    "8": _figure_8,
    "9": _figure_9,
    "10": _figure_10,
    "S7": _figure_s7,
}
"""By number: what draws it, of models, by a seed, the number of a further sample, and a heading."""
