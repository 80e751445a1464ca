"""Two classes make two directions, which may be of different difficulty (Section 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lightning_ecinn.evaluation.rows import Rows
from lightning_ecinn.evaluation.summary import Counts, Estimate, counted, estimates

__all__ = ["Direction", "by_direction"]


@dataclass(frozen=True)
class Direction:
    """All measures from one class to the other.

    Attributes:
        counts: how many counterfactuals there are of each alpha.
        estimates: their averages.
    """

    counts: Sequence[Counts]
    estimates: Sequence[Estimate]


def by_direction(
    rows: Rows,
    alphas: Sequence[str],
    class_names: Sequence[str],
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Mapping[str, Direction]:
    """The averages of each direction by itself, where there are two classes.

    FID is left out: it compares with images of both classes, which the counterfactuals of one
    direction should not look like.

    Args:
        rows: of all alphas.
        alphas: their names.
        class_names: of all classes.
        samples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        By name, such as "closed → open"; empty for other numbers of classes.
    """
    found: dict[str, Direction] = {}
    if len(class_names) != 2:
        return found
    for p, q in ((0, 1), (1, 0)):
        chosen = (rows["source"] == p) & (rows["target"] == q)
        part = {name: column[chosen] for name, column in rows.items() if name != "features"}
        measured = estimates(part, alphas, samples=samples, seed=seed)
        name = f"{class_names[p]} → {class_names[q]}"
        found[name] = Direction(counted(part, alphas), measured)
    return found
