"""Images beside their counterfactuals, by how plausible these are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.figures.canvas import check_numbers
from lightning_ecinn.figures.grid import SIDE, picture_grid
from lightning_ecinn.figures.text import CAPTION, drawable, text_width, verbatim

__all__ = ["plausibility_examples"]

_PAIRS_PER_ROW = 4


@verbatim
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
    check_numbers("log p of the counterfactuals", log_probs)
    rows, row_labels = _ranked(log_probs, count)
    captions = list(map(drawable, captions))
    shown = [[captions[i] for i in row] for row in rows]
    pictures = [[_side_by_side(inputs[i], counterfactuals[i]) for i in row] for row in rows]
    _, rise, run = pictures[0][0].shape
    widest = max(text_width(caption, CAPTION) for row in shown for caption in row)
    gap = max(0.15, 1.1 * widest - SIDE * run / rise)
    return picture_grid(pictures, row_labels=row_labels, captions=shown, title=title, gap=gap)


def _ranked(log_probs: Tensor, count: int) -> tuple[list[list[int]], list[str]]:
    """Numbers of the most and of the least plausible, in rows, and the rows' labels."""
    order = log_probs.argsort(descending=True, stable=True).tolist()
    best = order[: min(count, (len(order) + 1) // 2)]
    worst = order[len(order) - min(count, len(order) // 2) :]
    rows, labels = [], []
    for label, chosen in (("most plausible", best), ("least plausible", worst)):
        for i in range(0, len(chosen), _PAIRS_PER_ROW):
            rows.append(chosen[i : i + _PAIRS_PER_ROW])
            labels.append(label if i == 0 else "")
    return rows, labels


def _side_by_side(image: Tensor, counterfactual: Tensor) -> Tensor:
    """Two pictures (C, H, W) as one, with a white gap between them."""
    channels, height, width = image.shape
    gap = image.new_ones(channels, height, max(width // 14, 1))
    return torch.cat((image, gap, counterfactual), dim=2)
