"""A plane of the latent space: two classes, where they tie, and a counterfactual's way (Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.canvas import BLUE, RED, check_numbers, draw_frame, titled_figure
from lightning_ecinn.figures.grid import SIDE, show_picture
from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    drawable,
    line_height,
    text_width,
    verbatim,
    wrapped,
)

__all__ = ["LatentMap", "LatentPath", "latent_map"]

_WIDTH, _HEIGHT = 4.4, 4.4
"""Of the plane, in inches like everything here."""
_GAP, _KEY = 0.2, 0.4
"""Between the plane and what stands right of it, and width of a legend's marks."""
_INSIDE = 0.99
"""Share of the coloured images that the axes hold, so that one far away leaves the others room."""
_GREY, _WAY = "0.75", "#e08214"


@dataclass(frozen=True)
class LatentPath:
    """A counterfactual's way in the plane.

    Attributes:
        points: (3, 2), where the input, alpha_0 and alpha_1 are.
        pictures: these three, (C, H, W) in [0, 1] each, C = 1 or 3.
        captions: text below each.
    """

    points: Tensor
    pictures: Sequence[Tensor]
    captions: Sequence[str]


@dataclass(frozen=True)
class LatentMap:
    """What is to be seen in the plane, all of it in its coordinates.

    Attributes:
        points: (N, 2), latents of images.
        labels: (N,), their classes.
        source: p, a class.
        target: q, another one.
        class_means: (2, 2), of p and q.
        component_means: (2, 2), the mixture's, of p and q.
        boundary: (3,), (a, b, c) of the line a x_1 + b x_2 + c = 0 on which p and q tie.
        path: one counterfactual's way, where there is one.
    """

    points: Tensor
    labels: Tensor
    source: int
    target: int
    class_means: Tensor
    component_means: Tensor
    boundary: Tensor
    path: LatentPath | None = None


@verbatim
def latent_map(
    shown: LatentMap,
    class_names: Sequence[str],
    *,
    axis_labels: tuple[str, str],
    title: str | None = None,
    note: str | None = None,
) -> Figure:
    """Latents of two classes in a plane, their means, where they tie, and one path (Figure 2).

    Both axes have the same scale, so that right angles are right. The images of other classes are
    grey; those of p and q are drawn in a mixed order, none above the other. The axes hold 99 % of
    them; how many lie outside is added to the note.

    Args:
        shown: what is in the plane.
        class_names: K names.
        axis_labels: what the axes are.
        title: text above everything; broken into lines where it is long.
        note: what else the reader has to know, below everything.

    Raises:
        ValueError: for shapes that are not those of a `LatentMap`, or numbers that are not finite.
    """
    _check(shown)
    names = [drawable(class_names[k]) for k in (shown.source, shown.target)]
    limits = _limits(shown)
    note = " ".join(filter(None, (note, _outside(shown, limits))))
    layout = _Layout(axis_labels, [*_legend_texts(names), *_captions(shown.path)], note)
    figure, size = titled_figure(layout.width, layout.height, title)
    axes = figure.add_axes(layout.place(size))
    axes.set(xlim=limits[0], ylim=limits[1])
    _show_points(axes, shown, names)
    _show_boundary(axes, shown.boundary, names)
    _show_means(axes, shown, names)
    if shown.path is not None:
        _show_path(axes, shown.path)
        _show_pictures(figure, shown.path, layout.corner)
    layout.label(figure, axes, size)
    return figure


@dataclass(frozen=True)
class _Layout:
    """Where everything stands, in inches from the left and from below."""

    axis_labels: tuple[str, str]
    column: Sequence[str]
    """Texts right of the plane."""
    note: str

    @cached_property
    def labels(self) -> list[list[str]]:
        return [wrapped(label, 0.9 * _WIDTH, LABEL) for label in self.axis_labels]

    @cached_property
    def left(self) -> float:
        return 0.5 + line_height(LABEL) * len(self.labels[1])

    @cached_property
    def width(self) -> float:
        widest = max(text_width(text, CAPTION) for text in self.column)
        return self.left + _WIDTH + _GAP + _KEY + 1.05 * widest + 0.1

    @cached_property
    def notes(self) -> list[str]:
        return wrapped(self.note, 0.95 * (self.width - 0.2), CAPTION)

    @cached_property
    def bottom(self) -> float:
        notes = line_height(CAPTION) * len(self.notes) + 0.15
        return notes + 0.25 + line_height(LABEL) * len(self.labels[0])

    @cached_property
    def height(self) -> float:
        return self.bottom + _HEIGHT + 0.05

    @property
    def corner(self) -> tuple[float, float]:
        """The upper left one of what stands right of the plane."""
        return self.left + _WIDTH + _GAP, self.bottom + _HEIGHT

    def place(self, size: tuple[float, float]) -> tuple[float, float, float, float]:
        """Of the plane in shares of a figure of this size."""
        width, height = size
        return self.left / width, self.bottom / height, _WIDTH / width, _HEIGHT / height

    def label(self, figure: Figure, axes: Axes, size: tuple[float, float]) -> None:
        """Name axes and marks, and write the note."""
        axes.set_xlabel("\n".join(self.labels[0]), fontsize=LABEL)
        axes.set_ylabel("\n".join(self.labels[1]), fontsize=LABEL)
        axes.tick_params(labelsize=CAPTION, length=2, width=0.6)
        for spine in axes.spines.values():
            spine.set(linewidth=0.6, color="0.6")
        axes.legend(
            loc="lower left", bbox_to_anchor=(1 + _GAP / _WIDTH, 0), borderaxespad=0, borderpad=0,
            frameon=False, fontsize=CAPTION, handletextpad=0.5, labelspacing=0.35,
        )  # fmt: skip
        place = 0.1 / size[0], 0.06 / size[1]
        figure.text(*place, "\n".join(self.notes), fontsize=CAPTION, color="0.3", va="bottom")


def _legend_texts(names: Sequence[str]) -> list[str]:
    """The longest ones."""
    return [f"component mean μ of {name}" for name in names] + [_tie(names)]


def _tie(names: Sequence[str]) -> str:
    return f"tie: p({names[0]}) = p({names[1]})"


def _captions(path: LatentPath | None) -> list[str]:
    return list(map(drawable, path.captions)) if path else []


def _limits(shown: LatentMap) -> np.ndarray:
    """Of the axes, (2, 2): the means, the path and nearly all of p and q, at the same scale."""
    low, high = np.quantile(_coloured(shown), [(1 - _INSIDE) / 2, (1 + _INSIDE) / 2], axis=0)
    parts = [shown.class_means, shown.component_means, *([shown.path.points] if shown.path else [])]
    places = np.concatenate([low[None], high[None], *(part.detach().cpu() for part in parts)])
    low, high = places.min(0), places.max(0)
    scale = max(np.max(1.1 * (high - low) / (_WIDTH, _HEIGHT)), 1e-6)
    reach = scale * np.array([_WIDTH, _HEIGHT]) / 2
    return np.stack(((low + high) / 2 - reach, (low + high) / 2 + reach), axis=1)


def _outside(shown: LatentMap, limits: np.ndarray) -> str:
    """How many coloured images are not to be seen, where there are any."""
    points = _coloured(shown)
    count = int(((points < limits[:, 0]) | (points > limits[:, 1])).any(1).sum())
    return f"{count:,} of the coloured images are outside the axes." if count else ""


def _coloured(shown: LatentMap) -> np.ndarray:
    """The points (M, 2) of p and q."""
    inside = (shown.labels == shown.source) | (shown.labels == shown.target)
    return shown.points[inside].detach().cpu().numpy()


def _show_points(axes: Axes, shown: LatentMap, names: Sequence[str]) -> None:
    points, labels = shown.points.detach().cpu().numpy(), shown.labels.cpu().numpy()
    is_source, is_target = labels == shown.source, labels == shown.target
    others = points[~(is_source | is_target)]
    if len(others):
        axes.scatter(others[:, 0], others[:, 1], s=4, color=_GREY, alpha=0.35, linewidths=0)
        axes.scatter([], [], s=9, color=_GREY, linewidths=0, label="other classes")
    both = is_source | is_target
    order = np.random.default_rng(0).permutation(int(both.sum()))
    colours = np.where(is_source[both], BLUE, RED)[order]
    x, y = points[both][order].T
    axes.scatter(x, y, s=9, c=colours, alpha=0.6, linewidths=0)
    for name, colour in zip(names, (BLUE, RED), strict=True):
        axes.scatter([], [], s=9, color=colour, alpha=0.8, linewidths=0, label=f"images of {name}")


def _show_boundary(axes: Axes, boundary: Tensor, names: Sequence[str]) -> None:
    """The line, where it is one: not if p and q tie nowhere in the plane, or everywhere."""
    a, b, c = boundary.tolist()
    if a == b == 0:
        return
    foot = -c / (a * a + b * b)
    axes.axline(
        (foot * a, foot * b), (foot * a - b, foot * b + a), color="black", linewidth=1.1,
        linestyle="--", label=_tie(names),
    )  # fmt: skip


def _show_means(axes: Axes, shown: LatentMap, names: Sequence[str]) -> None:
    means = {"class mean": shown.class_means, "component mean μ": shown.component_means}
    for marker, (kind, places) in zip("sD", means.items(), strict=True):
        for name, colour, place in zip(names, (BLUE, RED), places.tolist(), strict=True):
            axes.plot(
                *place, marker, markersize=6.5 if marker == "s" else 5.5, color=colour,
                markeredgecolor="white", markeredgewidth=1, label=f"{kind} of {name}", zorder=4,
            )  # fmt: skip


def _show_path(axes: Axes, path: LatentPath) -> None:
    points = path.points.detach().cpu().numpy()
    axes.plot(*points.T, color=_WAY, linewidth=1.6, zorder=5, label="path z + αΔ")
    for (x, y), name in zip(points, ("z", "α₀", "α₁"), strict=True):
        axes.plot(x, y, "o", markersize=5, color=_WAY, markeredgecolor="black", zorder=6)
        axes.annotate(
            name, (x, y), (0, 6), textcoords="offset points", ha="center", va="bottom",
            fontsize=LABEL, fontweight="bold", zorder=7,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8},
        )  # fmt: skip


def _show_pictures(figure: Figure, path: LatentPath, corner: tuple[float, float]) -> None:
    """The path's pictures below each other, from a corner in inches."""
    width, height = figure.get_size_inches()
    rise, run = path.pictures[0].shape[1:]
    side = SIDE * run / rise
    for i, (picture, caption) in enumerate(zip(path.pictures, _captions(path), strict=True)):
        bottom = corner[1] - SIDE - i * (SIDE + line_height(CAPTION) + 0.06)
        place = corner[0] / width, bottom / height, side / width, SIDE / height
        axes = figure.add_axes(place)
        show_picture(axes, picture, "")
        draw_frame(axes)
        axes.text(
            0, -0.04, caption, transform=axes.transAxes, va="top", fontsize=CAPTION, color="0.3",
        )  # fmt: skip


def _check(shown: LatentMap) -> None:
    shapes = {
        "points": (shown.points, (len(shown.labels), 2)),
        "class_means": (shown.class_means, (2, 2)),
        "component_means": (shown.component_means, (2, 2)),
        "boundary": (shown.boundary, (3,)),
    }
    if shown.path is not None:
        shapes["path"] = shown.path.points, (3, 2)
    for name, (values, shape) in shapes.items():
        if tuple(values.shape) != shape:
            raise ValueError(
                f"The {name} of a map of {len(shown.labels)} latents must be {shape}, got "
                f"{tuple(values.shape)}."
            )
        check_numbers(f"{name} of the map", values)
