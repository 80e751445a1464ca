"""The paper's figures of counterfactuals, after fitting and testing."""

from __future__ import annotations

from typing import Any, Literal

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.callbacks.end_of_run import ExplainsAtTheEnd, NothingToDrawError
from lightning_ecinn.callbacks.loggers import log_figure
from lightning_ecinn.callbacks.remarks import remark
from lightning_ecinn.datamodules.checks import SplitName
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.steps import NamedStep, alpha_convincing, supplement_step
from lightning_ecinn.figures import magnified, picture_grid, posterior_percent
from lightning_ecinn.models.inputs import as_float
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import CorrectImages

__all__ = ["CounterfactualGrid"]

Selection = Literal[
    "every_class", "one_image", "one_per_class", "one_class", "both_directions", "step_sweep"
]
_USED: dict[str, tuple[str, ...]] = {
    "every_class": (),
    "one_image": ("source",),
    "one_per_class": ("target",),
}
"""The classes that a selection asks for, where it is not both."""
_ROWS = ["input", "tipping α₀", "convincing α₁"]


class CounterfactualGrid(ExplainsAtTheEnd):
    """Draw counterfactuals of correctly classified images, under each the target's posterior.

    The posterior is that of the picture as shown, rounded to 8 bits and encoded again.

    Args:
        selection: what is shown.
            ``every_class``: one input of each class (rows) to every target (columns);
            ``one_image``: one input of class `source` to every target, rows input, alpha_0,
            alpha_1 (Figures 4 and 5);
            ``one_per_class``: one input of each class to `target` (Figure 6);
            ``one_class``: several inputs of class `source` to `target` (Figure 7);
            ``both_directions``: inputs of `source` to `target`, then of `target` to `source`
            (Figure 8, for two classes);
            ``step_sweep``: inputs of class `source` to `target` at alpha_0 + t (1 - alpha_0) for
            several t (the supplement's Figure 7).
        source: class of the inputs.
        target: class asked for.
        count: number of inputs, where several are shown.
        alpha: step of ``every_class``: "tipping", "convincing", "star", "certified" or a number.
        t: values of t for ``step_sweep``.
        split: where the inputs come from: "train", "val" or "test".
        seed: which inputs are drawn.
        magnify: (rows, columns) of the top left corner to show enlarged beside each picture, as
            for FakeMNIST's label pixels (Figure 3).
        name: file name; by default says what is shown.

    Example:
        >>> figure_5 = CounterfactualGrid(selection="one_image", source=3)
        >>> trainer = pl.Trainer(callbacks=make_callbacks(figure_5), logger=False)
    """

    def __init__(
        self,
        selection: Selection = "every_class",
        source: int = 3,
        target: int = 0,
        count: int = 9,
        alpha: NamedStep | float = "convincing",
        t: list[float] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2],  # noqa: B006
        split: SplitName = "test",
        seed: int = 0,
        magnify: tuple[int, int] | None = None,
        name: str | None = None,
    ):
        self.selection = selection
        self.source = source
        self.target = target
        self.count = count
        self.alpha = alpha
        self.t = t
        self.split = split
        self.seed = seed
        self.magnify = magnify
        self.name = name or self._default_name()
        self._heading = ""
        self._asked = self._missing = 0
        """Counterfactuals that the picture is to show, and those of them that do not exist."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse classes that do not exist before anything is trained."""
        if not isinstance(pl_module, IBINN):
            return
        last = pl_module.classifier.num_classes - 1
        for name in _USED.get(self.selection, ("source", "target")):
            if not 0 <= getattr(self, name) <= last:
                raise ValueError(
                    f"CounterfactualGrid: {name} must be a class from 0 to {last}, got "
                    f"{getattr(self, name)}."
                )

    def draw_explained(self, trainer: pl.Trainer, module: IBINN) -> None:
        """Draw, if there is something to draw with."""
        log_figure(
            trainer, self.figure(trainer, module.explainer), self.name, section="counterfactuals"
        )

    def figure(
        self,
        trainer: pl.Trainer,
        explainer: Explainer,
        images: CorrectImages | None = None,
        heading: str = "",
    ) -> Figure:
        """The picture; what it lacks is remarked upon.

        Args:
            trainer: knows the images.
            explainer: has class means.
            images: to choose from, in their order; by default of `split` and `seed`.
            heading: begins the title.

        Raises:
            NothingToDrawError: says why there is no picture.
        """
        self._asked, self._missing, self._heading = 0, 0, heading
        with torch.inference_mode():
            figure = self._figure(trainer, explainer, images)
        if self._asked and self._missing == self._asked:
            raise NothingToDrawError(f"No step leads to any of its {self._asked} counterfactuals.")
        if self._missing:
            remark(
                trainer,
                f"{self.name}: no step leads to {self._missing} of {self._asked} counterfactuals.",
            )
        return figure

    def _default_name(self) -> str:
        detail = {
            "every_class": f"{self.alpha}",
            "one_image": f"{self.source}",
            "one_per_class": f"to{self.target}",
        }
        pair = f"{self.source}to{self.target}"
        name = f"{self.selection}-{detail.get(self.selection, pair)}"
        return f"counterfactuals-{name}".replace("_", "-")

    def _figure(
        self, trainer: pl.Trainer, explainer: Explainer, images: CorrectImages | None
    ) -> Figure:
        try:
            images = images or CorrectImages(trainer, explainer, self.split, self.seed)
            return getattr(self, f"_{self.selection}")(images, explainer)
        except LookupError as error:
            raise NothingToDrawError(error.args[0]) from None

    def _every_class(self, images: CorrectImages, explainer: Explainer) -> Figure:
        inputs, _ = images.one_of_each(range(explainer.num_classes))
        targets = torch.arange(explainer.num_classes).expand(len(inputs), -1)
        cf = explainer.explain(inputs, targets, self.alpha, undefined="keep")
        posterior = self._posterior_as_seen(explainer, cf)
        pictures, captions = [], []
        for i, image in enumerate(inputs):
            pictures.append([self._shown(image), *map(self._shown_if, cf.image[i], cf.defined[i])])
            captions.append(["", *map(_percent, posterior[i], cf.defined[i])])
        step = {
            "tipping": "tipping point α₀",
            "convincing": "convincing step α₁",
            "star": "smallest step α* that puts the target before every class",
            "certified": f"smallest step that reaches p(target) = {explainer.confidence:g}",
        }
        return self._grid(
            pictures,
            column_labels=["input", *(f"→ {name}" for name in explainer.class_names)],
            captions=captions,
            title=step.get(str(self.alpha), f"step α = {self.alpha}"),
        )

    def _one_image(self, images: CorrectImages, explainer: Explainer) -> Figure:
        image = images.of(self.source, 1)
        targets = [k for k in range(explainer.num_classes) if k != self.source]
        inputs = image.expand(len(targets), -1, -1, -1)
        labels = [f"→ {explainer.class_names[k]}" for k in targets]
        return self._three_rows(explainer, inputs, torch.tensor(targets), labels)

    def _one_per_class(self, images: CorrectImages, explainer: Explainer) -> Figure:
        others = [k for k in range(explainer.num_classes) if k != self.target]
        inputs, sources = images.one_of_each(others)
        target = torch.full((len(sources),), self.target)
        names = explainer.class_names
        labels = [f"{names[k]} → {names[self.target]}" for k in sources]
        return self._three_rows(explainer, inputs, target, labels)

    def _one_class(self, images: CorrectImages, explainer: Explainer) -> Figure:
        inputs = images.of(self.source, self.count)
        target = torch.full((len(inputs),), self.target)
        return self._three_rows(explainer, inputs, target, self._pair_labels(explainer, inputs))

    def _both_directions(self, images: CorrectImages, explainer: Explainer) -> Figure:
        half = max(self.count // 2, 1)
        there, back = images.of(self.source, half), images.of(self.target, half)
        target = torch.tensor([self.target] * len(there) + [self.source] * len(back))
        labels = [f"→ {explainer.class_names[k]}" for k in target.tolist()]
        return self._three_rows(explainer, torch.cat((there, back)), target, labels)

    def _step_sweep(self, images: CorrectImages, explainer: Explainer) -> Figure:
        inputs = images.of(self.source, min(self.count, 5))
        tipping = explainer.explain(inputs, self.target, "tipping", undefined="keep")
        pictures: list[list[Tensor | None]] = [[self._shown(image)] for image in inputs]
        captions = [[""] for _ in inputs]
        steps = [alpha_convincing(tipping.alpha, supplement_step(t)) for t in self.t]
        # No steps: only the inputs are drawn.
        swept = (
            explainer.explain_steps(inputs, self.target, steps, undefined="keep") if steps else []
        )
        for cf in swept:
            posterior = self._posterior_as_seen(explainer, cf)
            for i, picture in enumerate(cf.image):
                pictures[i].append(self._shown_if(picture, cf.defined[i]))
                captions[i].append(_percent(posterior[i], cf.defined[i]))
        return self._grid(
            pictures,
            column_labels=["input", *(f"t = {t:g}" for t in self.t)],
            captions=captions,
            title=f"{self._pair(explainer)}, step α = α₀ + t (1 - α₀)",
        )

    def _three_rows(
        self, explainer: Explainer, inputs: Tensor, target: Tensor, labels: list[str]
    ) -> Figure:
        """Rows input, alpha_0, alpha_1 as in the paper."""
        pictures: list[list[Tensor | None]] = [[self._shown(image) for image in inputs]]
        captions = [[""] * len(inputs)]
        for cf in explainer.explain_steps(inputs, target, undefined="keep"):
            posterior = self._posterior_as_seen(explainer, cf)
            pictures.append(list(map(self._shown_if, cf.image, cf.defined)))
            captions.append(list(map(_percent, posterior, cf.defined)))
        return self._grid(pictures, row_labels=_ROWS, column_labels=labels, captions=captions)

    def _grid(self, pictures: list[list[Tensor | None]], title: str = "", **labels: Any) -> Figure:
        """The pictures, with a title that says what the numbers are."""
        title = ": ".join(filter(None, (self._heading, title)))
        title = f"{title}; below" if title else "Below"
        title = f"{title} each picture: p(target) of the picture as shown"
        gap = 0.05 if self.magnify is None else 0.15
        return picture_grid(pictures, title=title, gap=gap, **labels)

    def _posterior_as_seen(self, explainer: Explainer, cf: Counterfactual) -> Tensor:
        """p(target) of the 8-bit pictures, shaped like the targets; counts what does not exist."""
        moves = cf.target != cf.source
        self._asked += int(moves.sum())
        self._missing += int((moves & ~cf.defined).sum())
        flat = cf.image_8bit.reshape(-1, *explainer.image_shape)
        posterior = explainer.posterior(flat).reshape(*cf.target.shape, -1)
        return posterior.gather(-1, cf.target.unsqueeze(-1)).squeeze(-1).cpu()

    def _pair(self, explainer: Explainer) -> str:
        return f"{explainer.class_names[self.source]} → {explainer.class_names[self.target]}"

    def _pair_labels(self, explainer: Explainer, inputs: Tensor) -> list[str]:
        return [self._pair(explainer)] * len(inputs)

    def _shown(self, image: Tensor) -> Tensor:
        image = as_float(image).cpu()
        return image if self.magnify is None else magnified(image, *self.magnify)

    def _shown_if(self, image: Tensor, defined: Tensor) -> Tensor | None:
        return self._shown(image) if defined else None


def _percent(value: Tensor, defined: Tensor) -> str:
    """The posterior in percent, where there is a counterfactual."""
    return posterior_percent(value.item()) if defined else "no step"
