"""Averages as a table for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lightning_ecinn.evaluation.summary import Counts, Estimate, measures_of

__all__ = ["comparison_table"]


def comparison_table(
    estimates: Sequence[Estimate],
    counts: Sequence[Counts],
    *,
    intervals: bool = True,
    title: str = "",
) -> list[list[str]]:
    """Measures as rows and alphas as columns, the first row and column are headings.

    Args:
        estimates: all of them.
        counts: of each alpha.
        intervals: whether to write "mean [low, high]" or only the mean.
        title: the cell above the measures.
    """
    found = {(estimate.alpha, estimate.measure): estimate for estimate in estimates}
    alphas = [count.alpha for count in counts]
    rows = [[title, *alphas]]
    rows.append(["counterfactuals", *(f"{count.exist:,}" for count in counts)])
    rows.append(["already the target", *(f"{count.already:,}" for count in counts)])
    rows.append(["without such a step", *(f"{count.undefined:,}" for count in counts)])
    if any(count.unknown for count in counts):
        rows.append(["with a log p that is no number", *(f"{c.unknown:,}" for c in counts)])
    for measure in measures_of(estimate.measure for estimate in estimates):
        if any((alpha, measure.key) in found for alpha in alphas):
            cells = (found.get((alpha, measure.key)) for alpha in alphas)
            rows.append([measure.title, *(
                "–" if cell is None else _text(cell, measure.scale, measure.digits, intervals)
                for cell in cells
            )])  # fmt: skip
    return rows


def _text(estimate: Estimate, scale: float, digits: int, interval: bool) -> str:
    if not math.isfinite(estimate.value):
        return "–"
    text = f"{scale * estimate.value:.{digits}f}"
    if not interval or estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{scale * estimate.low:.{digits}f}, {scale * estimate.high:.{digits}f}]"
