"""Certificates in words."""

from __future__ import annotations

from lightning_ecinn.explanations.rows import Row
from lightning_ecinn.figures.text import posterior_percent

__all__ = ["certificate_words", "one_line"]


def certificate_words(row: Row) -> str:
    """What the certificate says, in two or three lines.

    Args:
        row: of `result_rows`.
    """
    target, posterior = row["target"], posterior_percent(row["target_posterior"])
    if row["source"] == target:
        said = f"It is {target} already: nothing was changed."
    elif row["holds"]:
        said = f"Holds: the picture is {target} to the classifier, with {posterior}."
    else:
        said = f"Does not hold: {row['reason']}."
    return "\n".join(filter(None, (said, _likelihood(row))))


def one_line(row: Row) -> str:
    """A picture, what it is, what it becomes, and whether that holds."""
    was = f"{row['source']} ({posterior_percent(row['source_posterior'])})"
    if row["source"] == row["target"]:
        return f"{row['picture']}: {was}, the target already"
    said = "holds" if row["holds"] else f"does not hold: {row['reason']}"
    becomes = f"{row['target']} ({posterior_percent(row['target_posterior'])})"
    return f"{row['picture']}: {was} -> {becomes}, {row['step']}, alpha {row['alpha']:.2f}, {said}"


def _likelihood(row: Row) -> str:
    """How usual the pictures are, where the checkpoint knows what is."""
    if row["quantile_after"] is None:
        return ""
    before, after = (_share(row[f"quantile_{when}"]) for when in ("before", "after"))
    return f"Likelier than {after} of the training images (the input: {before})."


def _share(quantile: float) -> str:
    if quantile in (0, 1):
        return "all" if quantile else "none"
    percent = 100 * quantile
    return "under 1 %" if percent < 1 else "over 99 %" if percent > 99 else f"{percent:.0f} %"
