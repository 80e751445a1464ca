"""Figures of an evaluation with axes: step lengths, posteriors along the path, faithfulness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.canvas import BLUE, RED, check_numbers, titled_figure
from lightning_ecinn.figures.text import (
    CAPTION,
    LABEL,
    drawable,
    line_height,
    text_width,
    verbatim,
)
from lightning_ecinn.metrics import area

__all__ = ["alpha_histograms", "faithfulness_curves", "posterior_paths"]

_WIDTH, _HEIGHT = 3.6, 2.2
"""Of a panel with curves, in inches like everything here."""
_BARS, _BINS = 0.62, 60
"""Height of a histogram, and its number of bars."""


@verbatim
def alpha_histograms(alphas: Mapping[str, Sequence[float]], *, title: str | None = None) -> Figure:
    """Distribution of the step lengths, one histogram per kind of step below the other.

    All share one axis and its bars, so that equal distributions look equal. The axis begins at 0
    and ends at the largest value or, where a few are far away, at 1.5 times the 99 % quantile of
    the widest distribution; what lies beyond is counted at the right.

    Args:
        alphas: step lengths of each kind of step that exist, at least 0; may be empty for a kind.
        title: text above everything; broken into lines where it is long.

    Raises:
        ValueError: without any kind of step, or for values that are negative or not finite.
    """
    values = {drawable(kind): np.asarray(alpha, dtype=float) for kind, alpha in alphas.items()}
    _check_alphas(values)
    some = [alpha for alpha in values.values() if len(alpha)]
    end = max((min(a.max(), 1.5 * np.quantile(a, 0.99)) for a in some), default=0.0) or 1.0
    left = 0.6 + max(text_width(kind, LABEL) for kind in values)
    pitch = _BARS + 0.16
    bottom = 0.45
    body = bottom + pitch * len(values)
    figure, (width, height) = titled_figure(left + _WIDTH + 1.2, body, title)
    for i, (kind, alpha) in enumerate(values.items()):
        y = bottom + pitch * (len(values) - 1 - i)
        axes = figure.add_axes((left / width, y / height, _WIDTH / width, _BARS / height))
        x, y = (left - 0.45) / width, (y + _BARS / 2) / height
        figure.text(x, y, kind, ha="right", va="center", fontsize=LABEL)
        _show_histogram(axes, alpha, float(end))
        if i < len(values) - 1:
            axes.set_xticklabels([])
    axes.set_xlabel("step length α", fontsize=LABEL)
    return figure


@verbatim
def posterior_paths(
    t: Sequence[float], source: Tensor, target: Tensor, *, title: str | None = None
) -> Figure:
    """Posteriors of source and target along the steps t alpha_0, and their tie at t = 1.

    Lines are medians over the images, bands reach from the 5 % to the 95 % quantile.

    Args:
        t: T increasing multiples of the tipping point alpha_0.
        source: p(p | f(x) + t alpha_0 Delta_pq), (N, T).
        target: p(q | ...), (N, T).
        title: text above everything; broken into lines where it is long.

    Raises:
        ValueError: for other shapes than (N, T) with N > 0, or for values that are not finite.
    """
    _check_posteriors(len(t), {"source": source, "target": target})
    figure, axes = _panel(title, "t: step length α = t α₀", "posterior", right=1.2)
    for label, posterior, colour in (("source p", source, BLUE), ("target q", target, RED)):
        values = posterior.detach().double().cpu()
        low, median, high = values.quantile(torch.tensor([0.05, 0.5, 0.95]).to(values), dim=0)
        axes.fill_between(t, low.numpy(), high.numpy(), color=colour, alpha=0.2, linewidth=0)
        axes.plot(t, median.numpy(), color=colour, linewidth=1.5, label=label)
    axes.axvline(1, color="0.3", linewidth=0.8, linestyle="--")
    axes.text(
        1, 1.02, "tipping point α₀", transform=axes.get_xaxis_transform(),
        ha="center", va="bottom", fontsize=CAPTION, color="0.3",
    )  # fmt: skip
    axes.set_xlim(min(*t, 1), max(*t, 1))
    _legend(axes, f"median and 5 to 95 %\nof {len(source):,} images")
    return figure


@verbatim
def faithfulness_curves(
    curves: Mapping[str, Tensor],
    bands: Mapping[str, tuple[Tensor, Tensor]],
    *,
    title: str | None = None,
    xlabel: str = "share of the pixels replaced",
) -> Figure:
    """Deletion or insertion curves of several heatmap methods, with the area under each.

    Args:
        curves: for each method the mean probability of the explained class after 0, 1/S, ..., S/S
            of the pixels, (S + 1,).
        bands: lower and upper end around a method's curve, (S + 1,) each; methods may be missing.
        title: text above everything; broken into lines where it is long.
        xlabel: what is done to the pixels.

    Raises:
        ValueError: without curves, for a band of no curve or of another length, or for values that
            are not finite.
    """
    _check_curves(curves, bands)
    labels = {
        name: f"{drawable(name)}: {area(curve[None].detach()).item():.3f}"
        for name, curve in curves.items()
    }
    right = 0.7 + max(text_width(label, CAPTION) for label in labels.values())
    figure, axes = _panel(title, xlabel, "probability of the class", right=max(right, 1.3))
    for i, (name, curve) in enumerate(curves.items()):
        x = np.linspace(0, 1, len(curve))
        style = ("-", "--", "-.", ":")[i // 10 % 4]
        y = curve.detach().cpu().numpy()
        (line,) = axes.plot(x, y, style, color=f"C{i % 10}", linewidth=1.3, label=labels[name])
        if name in bands:
            low, high = (end.detach().cpu().numpy() for end in bands[name])
            axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xlim(0, 1)
    _legend(axes, "area under the curve")
    return figure


def _panel(title: str | None, xlabel: str, ylabel: str, right: float) -> tuple[Figure, Axes]:
    """One panel for curves of probabilities, with space for a legend at its right."""
    left, bottom = 0.55, 0.45
    body = bottom + _HEIGHT + line_height(CAPTION) + 0.05
    figure, (width, height) = titled_figure(left + _WIDTH + 0.1 + right, body, title)
    axes = figure.add_axes((left / width, bottom / height, _WIDTH / width, _HEIGHT / height))
    axes.set_xlabel(xlabel, fontsize=LABEL)
    axes.set_ylabel(ylabel, fontsize=LABEL)
    axes.set_ylim(-0.02, 1.02)
    _tidy(axes)
    return figure, axes


def _tidy(axes: Axes) -> None:
    axes.tick_params(labelsize=CAPTION, length=2, width=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.6)


def _legend(axes: Axes, title: str) -> None:
    axes.legend(
        title=title, loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0, borderpad=0,
        frameon=False, fontsize=CAPTION, title_fontsize=CAPTION, alignment="left",
    )  # fmt: skip


def _show_histogram(axes: Axes, alpha: np.ndarray, end: float) -> None:
    """Shares of the values between 0 and the end; what else there is to say at the right."""
    counts, edges = np.histogram(alpha[alpha <= end], _BINS, (0, end))
    shares = 100 * counts / max(len(alpha), 1)
    axes.bar(edges[:-1], shares, np.diff(edges), align="edge", color=BLUE)
    highest = float(np.max(shares)) or 1.0
    axes.set_xlim(-0.01 * end, 1.01 * end)
    axes.set_ylim(0, 1.05 * highest)
    _tidy(axes)
    axes.set_yticks([highest] if len(alpha) else [], [f"{highest:.0f} %"] if len(alpha) else [])
    notes = ["none"]
    if len(alpha):
        median = float(np.median(alpha))
        axes.axvline(median, color=RED, linewidth=1)
        beyond = len(alpha) - int(counts.sum())
        notes = [f"median {median:.3f}", f"n = {len(alpha):,}"]
        notes += [f"{beyond:,} beyond, to {alpha.max():.3g}"] if beyond else []
    for line, note in enumerate(notes):
        axes.text(
            1.03, 1 - line * line_height(CAPTION) / _BARS, note, transform=axes.transAxes,
            va="top", fontsize=CAPTION, color=RED if note.startswith("median") else "0.3",
        )  # fmt: skip


def _check_alphas(values: Mapping[str, np.ndarray]) -> None:
    if not values:
        raise ValueError("Histograms of step lengths need at least one kind of step.")
    for kind, alpha in values.items():
        if not (np.isfinite(alpha) & (alpha >= 0)).all():
            raise ValueError(
                f"The step lengths {kind!r} must be finite and at least 0: leave out the "
                "counterfactuals that do not exist."
            )


def _check_posteriors(num_steps: int, posteriors: Mapping[str, Tensor]) -> None:
    for name, posterior in posteriors.items():
        if posterior.ndim != 2 or posterior.shape[1] != num_steps or len(posterior) == 0:
            raise ValueError(
                f"The posteriors of the {name} must be (N, {num_steps}), one column per step t and "
                f"at least one row, got {tuple(posterior.shape)}."
            )
        check_numbers(f"posteriors of the {name}", posterior)


def _check_curves(curves: Mapping[str, Tensor], bands: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    if not curves:
        raise ValueError("Curves of heatmap methods need at least one method.")
    for name, curve in curves.items():
        check_numbers(f"curve of {name!r}", curve)
    for name, ends in bands.items():
        if name not in curves or any(end.shape != curves[name].shape for end in ends):
            raise ValueError(
                f"The band of {name!r} needs a curve of that name and as many values, got curves "
                f"of {', '.join(curves)} and ends of {tuple(map(len, ends))} values."
            )
