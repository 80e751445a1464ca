"""Which counterfactuals are worth a look: the most and the least plausible, and those that fail."""

from __future__ import annotations

import numpy as np

from lightning_ecinn.evaluation.rows import Rows
from lightning_ecinn.evaluation.summary import existing, is_finite

__all__ = ["examples", "most_and_least"]


def most_and_least(rows: Rows, step: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows of the most plausible counterfactuals of a step, and of the least.

    Both are sorted by log p(x'), the extreme ones first, and have none in common.

    Args:
        rows: of the evaluation.
        step: name of an alpha.
        count: how many of each; fewer where there are less than twice as many.
    """
    order = np.flatnonzero(existing(rows, step) & is_finite(rows["log_prob_after"]))
    order = order[np.argsort(-rows["log_prob_after"][order], kind="stable")]
    most = order[: min(count, (len(order) + 1) // 2)]
    return most, order[::-1][: min(count, len(order) // 2)]


def examples(rows: Rows, step: str, count: int) -> dict[str, np.ndarray]:
    """Numbers of rows of a step to show, up to `count` of each kind, an image at most once in each.

    Returns:
        ``best``: the most plausible; ``worst``: the least plausible; ``failed``: not classified as
        the target, the lowest p(q) first. Kinds that there are none of are left out.
    """
    total = len(rows["index"])
    most, least = most_and_least(rows, step, total)
    failed = np.flatnonzero(existing(rows, step) & is_finite(rows["log_prob_after"]))
    failed = failed[~rows["validity"][failed].astype(bool)]
    failed = failed[np.argsort(rows["target_posterior"][failed], kind="stable")]
    kinds = {"best": most, "worst": least, "failed": failed}
    return {
        kind: _once(rows["index"], found)[:count] for kind, found in kinds.items() if len(found)
    }


def _once(images: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The first row found of each image, in the same order."""
    return found[np.sort(np.unique(images[found], return_index=True)[1])]
