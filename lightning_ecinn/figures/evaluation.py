"""Figures of an evaluation: step lengths, posteriors, classes, plausibility, faithfulness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.grid import _SIDE, picture_grid
from lightning_ecinn.figures.matrices import show_numbers, two_decimals
from lightning_ecinn.figures.text import CAPTION, LABEL, TITLE, line_height, text_width, wrapped
from lightning_ecinn.metrics import area

__all__ = [
    "alpha_histograms",
    "class_matrix",
    "faithfulness_curves",
    "plausibility_examples",
    "posterior_paths",
]

_WIDTH, _HEIGHT = 3.6, 2.2
"""Of a panel with curves, in inches like everything here."""
_BARS, _BINS = 0.62, 60
"""Height of a histogram, and its number of bars."""
_CELL, _NAME_WIDTH = 0.42, 1.2
_PAIRS_PER_ROW = 4
_BLUE, _RED = "#2166ac", "#b2182b"


def alpha_histograms(alphas: Mapping[str, Sequence[float]], *, title: str | None = None) -> Figure:
    """Distribution of the step lengths, one histogram per kind of step below the other.

    All share one axis and its bars, so that equal distributions look equal. The axis begins at 0
    and ends at the largest value or, where a few are far away, at 1.5 times the 99 % quantile of
    the widest distribution; what lies beyond is counted at the right.

    Args:
        alphas: step lengths of each kind of step that exist, at least 0; may be empty for a kind.
        title: text above everything; broken into lines where it is long.

    Returns:
        The figure, on an Agg canvas: no display is needed.

    Raises:
        ValueError: without any kind of step, or for values that are negative or not finite.
    """
    values = {kind: np.asarray(alpha, dtype=float) for kind, alpha in alphas.items()}
    _check_alphas(values)
    some = [alpha for alpha in values.values() if len(alpha)]
    end = max((min(a.max(), 1.5 * np.quantile(a, 0.99)) for a in some), default=0.0) or 1.0
    left = 0.6 + max(text_width(kind, LABEL) for kind in values)
    pitch = _BARS + 0.16
    bottom = 0.45
    body = bottom + pitch * len(values)
    figure, (width, height) = _figure(left + _WIDTH + 1.2, body, title)
    for i, (kind, alpha) in enumerate(values.items()):
        y = bottom + pitch * (len(values) - 1 - i)
        axes = figure.add_axes((left / width, y / height, _WIDTH / width, _BARS / height))
        figure.text(
            (left - 0.45) / width, (y + _BARS / 2) / height, kind,
            ha="right", va="center", fontsize=LABEL,
        )  # fmt: skip
        _show_histogram(axes, alpha, float(end))
        if i < len(values) - 1:
            axes.set_xticklabels([])
    axes.set_xlabel("step length α", fontsize=LABEL)
    return figure


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

    Returns:
        The figure, on an Agg canvas: no display is needed.

    Raises:
        ValueError: for other shapes than (N, T) with N > 0, or for values that are not finite.
    """
    for name, posterior in (("source", source), ("target", target)):
        if posterior.ndim != 2 or posterior.shape[1] != len(t) or len(posterior) == 0:
            raise ValueError(
                f"The posteriors of the {name} must be (N, {len(t)}), one column per step t and "
                f"at least one row, got {tuple(posterior.shape)}."
            )
        _check_numbers(f"posteriors of the {name}", posterior)
    figure, axes = _panel(title, "t: step length α = t α₀", "posterior", right=1.2)
    for label, posterior, colour in (("source p", source, _BLUE), ("target q", target, _RED)):
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


def class_matrix(
    values: Tensor, class_names: Sequence[str], *, title: str | None = None, percent: bool = False
) -> Figure:
    """One number for each pair of classes, written in the cells; grey where there is none.

    Shares are coloured from the lowest to the highest, at least 10 percentage points apart; other
    numbers blue below 0 and red above, up to the largest absolute value or 1.

    Args:
        values: (K, K), source p in rows and target q in columns; NaN where there is no number, as
            on the diagonal.
        class_names: K names, broken into lines where they are long.
        title: text above everything; broken into lines where it is long.
        percent: whether the values are shares in [0, 1], to be written in percent.

    Returns:
        The figure, on an Agg canvas: no display is needed.

    Raises:
        ValueError: for another shape than (K, K).
    """
    num_classes = len(class_names)
    if values.shape != (num_classes, num_classes):
        raise ValueError(
            f"A matrix of {num_classes} classes must be ({num_classes}, {num_classes}), got "
            f"{tuple(values.shape)}."
        )
    names = [wrapped(name, _NAME_WIDTH, LABEL) for name in class_names]
    name_width = max(text_width(line, LABEL) for lines in names for line in lines)
    name_height = line_height(LABEL) * max(map(len, names))
    cell = max(_CELL, name_height + 0.06)
    upright = name_width > 0.9 * cell
    side = num_classes * cell
    header = 0.2 + (name_width if upright else name_height) + line_height(LABEL)
    left = 0.25 + line_height(LABEL) + name_width
    spare = max(2.8 - left - side - 0.15, 0)
    left += spare / 2
    figure, (width, height) = _figure(left + side + 0.15 + spare / 2, side + header + 0.1, title)
    axes = figure.add_axes((left / width, 0.1 / height, side / width, side / height))
    _show_pairs(axes, values.detach().double().cpu().numpy(), percent)
    labels = ["\n".join(lines) for lines in names]
    axes.set_xticks(range(num_classes), labels, fontsize=LABEL, rotation=90 if upright else 0)
    axes.set_yticks(range(num_classes), labels, fontsize=LABEL)
    axes.set_xlabel("target q", fontsize=LABEL, labelpad=7)
    axes.set_ylabel("source p", fontsize=LABEL, labelpad=7)
    return figure


def plausibility_examples(
    inputs: Tensor,
    counterfactuals: Tensor,
    log_probs: Tensor,
    captions: Sequence[str],
    *,
    count: int = 8,
    title: str | None = None,
) -> Figure:
    """Inputs beside their counterfactuals: the most plausible above, the least plausible below.

    Args:
        inputs: (N, C, H, W) in [0, 1].
        counterfactuals: (N, C, H, W) in [0, 1].
        log_probs: (N,), what they are sorted by: log p of the counterfactuals.
        captions: N texts below the pairs, such as "3 → 8, quantile 0.52".
        count: how many of each to show, at least one, four per row; fewer where N is less than
            twice as many.
        title: text above everything; broken into lines where it is long.

    Returns:
        The figure, on an Agg canvas: no display is needed.

    Raises:
        ValueError: if the numbers of pictures, log p and captions differ or are 0, for a count
            below 1, or for log p that are not finite.
    """
    sizes = (len(inputs), len(counterfactuals), len(log_probs), len(captions))
    if len(set(sizes)) > 1 or not captions or count < 1:
        raise ValueError(
            "Examples need as many inputs as counterfactuals, log p and captions, at least one, "
            f"and a count of at least 1, got {', '.join(map(str, sizes))} and {count}."
        )
    _check_numbers("log p of the counterfactuals", log_probs)
    order = log_probs.argsort(descending=True, stable=True).tolist()
    best = order[: min(count, (len(order) + 1) // 2)]
    worst = order[len(order) - min(count, len(order) // 2) :]
    rows, row_labels = [], []
    for label, chosen in (("most plausible", best), ("least plausible", worst)):
        for i in range(0, len(chosen), _PAIRS_PER_ROW):
            rows.append(chosen[i : i + _PAIRS_PER_ROW])
            row_labels.append(label if i == 0 else "")
    shown = [[captions[i] for i in row] for row in rows]
    pictures = [[_side_by_side(inputs[i], counterfactuals[i]) for i in row] for row in rows]
    _, rise, run = pictures[0][0].shape
    widest = max(text_width(caption, CAPTION) for row in shown for caption in row)
    gap = max(0.15, 1.1 * widest - _SIDE * run / rise)
    return picture_grid(pictures, row_labels=row_labels, captions=shown, title=title, gap=gap)


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

    Returns:
        The figure, on an Agg canvas: no display is needed.

    Raises:
        ValueError: without curves, for a band of no curve or of another length, or for values that
            are not finite.
    """
    _check_curves(curves, bands)
    labels = {
        name: f"{name}: {area(curve[None].detach()).item():.3f}" for name, curve in curves.items()
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


def _figure(width: float, body: float, title: str | None) -> tuple[Figure, tuple[float, float]]:
    """A figure with its title above a body of that height, and its width and height."""
    lines = wrapped(title or "", 0.95 * (width - 0.2), TITLE)
    height = body + 0.1 + line_height(TITLE) * len(lines)
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.5, 1 - 0.06 / height, "\n".join(lines), ha="center", va="top", fontsize=TITLE)
    return figure, (width, height)


def _panel(title: str | None, xlabel: str, ylabel: str, right: float) -> tuple[Figure, Axes]:
    """One panel for curves of probabilities, with space for a legend at its right."""
    left, bottom = 0.55, 0.45
    body = bottom + _HEIGHT + line_height(CAPTION) + 0.05
    figure, (width, height) = _figure(left + _WIDTH + 0.1 + right, body, title)
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
    axes.bar(edges[:-1], shares, np.diff(edges), align="edge", color=_BLUE)
    highest = float(np.max(shares)) or 1.0
    axes.set_xlim(-0.01 * end, 1.01 * end)
    axes.set_ylim(0, 1.05 * highest)
    _tidy(axes)
    axes.set_yticks([highest] if len(alpha) else [], [f"{highest:.0f} %"] if len(alpha) else [])
    notes = ["none"]
    if len(alpha):
        median = float(np.median(alpha))
        axes.axvline(median, color=_RED, linewidth=1)
        beyond = len(alpha) - int(counts.sum())
        notes = [f"median {median:.3f}", f"n = {len(alpha):,}"]
        notes += [f"{beyond:,} beyond, to {alpha.max():.3g}"] if beyond else []
    for line, note in enumerate(notes):
        axes.text(
            1.03, 1 - line * line_height(CAPTION) / _BARS, note, transform=axes.transAxes,
            va="top", fontsize=CAPTION, color=_RED if note.startswith("median") else "0.3",
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


def _show_pairs(axes: Axes, values: np.ndarray, percent: bool) -> None:
    known = values[np.isfinite(values)]
    if percent:
        high = max(known.max(initial=0), 0.1)
        show_numbers(
            axes, values, lambda share: f"{100 * share:.1f}", "Blues",
            (min(known.min(initial=1), high - 0.1), high),
        )  # fmt: skip
        axes.text(
            -0.5, -0.62, "% ", ha="right", va="bottom", fontsize=LABEL, color="0.3",
        )  # fmt: skip
    else:
        end = max(np.abs(known).max(initial=0), 1)
        show_numbers(axes, values, two_decimals, "RdBu_r", (-end, end))


def _side_by_side(image: Tensor, counterfactual: Tensor) -> Tensor:
    """Two pictures (C, H, W) as one, with a white gap between them."""
    channels, height, width = image.shape
    gap = image.new_ones(channels, height, max(width // 14, 1))
    return torch.cat((image, gap, counterfactual), dim=2)


def _check_curves(curves: Mapping[str, Tensor], bands: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    if not curves:
        raise ValueError("Curves of heatmap methods need at least one method.")
    for name, curve in curves.items():
        _check_numbers(f"curve of {name!r}", curve)
    for name, ends in bands.items():
        if name not in curves or any(end.shape != curves[name].shape for end in ends):
            raise ValueError(
                f"The band of {name!r} needs a curve of that name and as many values, got curves "
                f"of {', '.join(curves)} and ends of {tuple(map(len, ends))} values."
            )


def _check_numbers(name: str, values: Tensor) -> None:
    if not values.isfinite().all():
        raise ValueError(f"The {name} must be finite: leave out what could not be computed.")
