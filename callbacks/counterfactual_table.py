"""A table of counterfactuals with their pictures, after fitting and testing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image

from lightning_ecinn.callbacks.end_of_run import ExplainsAtTheEnd, NothingToDrawError
from lightning_ecinn.callbacks.loggers import log_pictures_table
from lightning_ecinn.callbacks.new_files import find_free_path
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.steps import NamedStep
from lightning_ecinn.explanations import Row, result_rows
from lightning_ecinn.figures import as_csv, heatmap_pixels, picture_pixels, posterior_percent
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import draw_images
from lightning_ecinn.training.by_image import other_classes
from lightning_ecinn.whole_files import write_whole

__all__ = ["CounterfactualTable"]

_MOST = 100
"""Weights & Biases drops pictures beyond 108 of one key."""
_AT_ONCE = 25
"""Images that are explained together."""
_GAP = 4
"""Pixels between the pictures of a row."""

Pictures = dict[str, list[np.ndarray]]


class CounterfactualTable(ExplainsAtTheEnd):
    """Counterfactuals of images drawn from a split, a row each: pictures and what is said of them.

    Columns: ``image``, ``counterfactual`` (in 8 bits), ``heatmap`` (blue darker, red brighter),
    ``source`` and ``target`` (class names; the target is drawn), ``alpha``, ``posterior`` (of the
    target at the picture), ``log p quantile`` (share of the training images that are less likely),
    ``holds`` and ``reason``. What is not known is empty.

    They lie in ``<run>/pictures/<name>/``: ``table.csv``, and a PNG for each row with the three
    pictures side by side. Weights & Biases gets ``counterfactuals/table``, and the pictures again
    as ``counterfactuals/image``, ``/counterfactual`` and ``/heatmap``; TensorBoard the same, in
    words and pictures.

    Args:
        count: rows, at most 100.
        alpha: "tipping", "convincing", "star", "certified" or a number.
        split: where the images come from: "train", "val" or "test".
        seed: which images are drawn.
        name: of the folder.

    Raises:
        ValueError: `count` is none from 1 to 100.

    Example:
        >>> table = CounterfactualTable(count=16)
        >>> trainer = pl.Trainer(callbacks=make_callbacks(table), logger=False)
    """

    def __init__(
        self,
        count: int = 32,
        alpha: NamedStep | float = "convincing",
        split: SplitName = "test",
        seed: int = 0,
        name: str = "counterfactuals-table",
    ):
        if not 1 <= count <= _MOST:
            raise ValueError(
                f"CounterfactualTable: count must be from 1 to {_MOST}, got {count}: loggers drop "
                "pictures beyond that. `explain` and `predict` write as many as you like."
            )
        self.count = count
        self.alpha = alpha
        self.split = split
        self.seed = seed
        self.name = name

    def draw_explained(self, trainer: pl.Trainer, module: IBINN) -> None:
        """Explain, write the files, and tell the loggers."""
        images, _ = draw_images(trainer, self.split, self.count, self.seed)
        pictures: Pictures = {"image": [], "counterfactual": [], "heatmap": []}
        rows, exists = [], False
        with torch.inference_mode():
            for cf in self._explained(module.explainer, images):
                rows += [_row(said) for said in result_rows([cf])]
                exists = exists or bool(cf.defined.any())
                _add(pictures, cf)
        if not exists:
            raise NothingToDrawError(f"No step leads to any of its {len(rows)} counterfactuals.")
        self._save(Path(trainer.default_root_dir) / "pictures", pictures, rows)
        log_pictures_table(trainer, "counterfactuals", pictures, rows, list(map(_caption, rows)))

    def _explained(self, explainer: Explainer, images: torch.Tensor) -> Iterable[Counterfactual]:
        for part in images.split(_AT_ONCE):
            source = explainer.posterior(part).argmax(1).to(part.device)
            target = other_classes(part, source, explainer.num_classes)
            yield explainer.explain(part, target, self.alpha, undefined="keep")

    def _save(self, folder: Path, pictures: Pictures, rows: list[Row]) -> None:
        """A folder of its own: an earlier one's is left alone."""
        folder = find_free_path(folder / self.name.replace("/", "-"))
        files = [f"{i:03}.png" for i in range(len(rows))]
        for name, shown in zip(files, zip(*pictures.values(), strict=True), strict=True):
            with write_whole(folder / name) as file:
                Image.fromarray(_side_by_side(shown)).save(file, "PNG")
        lines = [[name, *row.values()] for name, row in zip(files, rows, strict=True)]
        with write_whole(folder / "table.csv") as file:
            file.write(as_csv(["file", *rows[0]], lines).encode("utf-8", "backslashreplace"))


def _add(pictures: Pictures, cf: Counterfactual) -> None:
    pictures["image"] += map(picture_pixels, cf.input)
    pictures["counterfactual"] += map(picture_pixels, cf.image_8bit)
    pictures["heatmap"] += map(heatmap_pixels, cf.heatmap)


def _row(said: Row) -> Row:
    """The columns beside the pictures; None where a number is not known."""
    numbers = {
        "alpha": said["alpha"],
        "posterior": said["target_posterior"],
        "log p quantile": said["quantile_after"],
    }
    known = {k: v if v is not None and math.isfinite(v) else None for k, v in numbers.items()}
    names = {name: said[name] for name in ("source", "target")}
    return {**names, **known, "holds": said["holds"], "reason": said["reason"]}


def _caption(row: Row) -> str:
    posterior = "unknown" if row["posterior"] is None else posterior_percent(row["posterior"])
    said = "holds" if row["holds"] else row["reason"]
    return f"{row['source']} → {row['target']}: {posterior}, {said}"


def _side_by_side(pictures: Iterable[np.ndarray]) -> np.ndarray:
    first, *others = pictures
    gap = np.full((len(first), _GAP, 3), 255, np.uint8)
    return np.hstack([first, *(part for one in others for part in (gap, one))])
