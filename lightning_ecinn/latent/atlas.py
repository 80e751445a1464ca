"""What the directions between classes add to a picture, and the angles between them."""

from __future__ import annotations

from matplotlib.figure import Figure

from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.figures.latent_atlas import cosine_matrix, direction_atlas
from lightning_ecinn.latent.directions import (
    Pair,
    classes_with_mean,
    direction_cosines,
    nearest_pairs,
)

__all__ = ["MOST_PAIRS", "latent_atlas", "latent_cosines"]

MOST_PAIRS = 45
"""All of ten classes."""


def latent_atlas(
    explainer: Explainer, *, max_pairs: int = MOST_PAIRS, title: str | None = None
) -> Figure:
    r"""The picture of every class mean, and what every direction adds to it.

    A class's picture is its mean latent, decoded: where its directions begin, and nobody's image.
    A mean of images would be blurred, and no direction begins or ends there. As the class
    direction is the difference of the class means,

    .. math::
        f^{-1}(\bar\mu_p + \Delta_{pq}) - f^{-1}(\bar\mu_p)
        = f^{-1}(\bar\mu_q) - f^{-1}(\bar\mu_p)

    is what a whole step, alpha = 1, adds to it. The figure needs no images.

    Args:
        explainer: of the classifier.
        max_pairs: of more pairs of classes, those whose means are nearest are drawn.
        title: text above; by default says what is shown.

    Raises:
        ValueError: fewer than two classes have a mean, or `max_pairs` is below 1.

    Example:
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> latent_atlas(explainer, max_pairs=4).texts[0].get_text()
        'class means, decoded, and what Δ adds: the 4 nearest of 45 pairs'
    """
    pairs, which = _pairs(explainer, max_pairs)
    pictures = explainer.decode(explainer.classifier.class_means)
    return direction_atlas(
        pictures,
        pairs,
        explainer.class_names,
        title=f"class means, decoded, and what Δ adds: {which}" if title is None else title,
        note="Pictures: the decoded class means. Red and blue: q's picture minus p's, what a whole "
        "step (α = 1) from p's class mean adds; red is brighter in q, blue darker; summed over "
        "channels, where black is 0 and white 1." + _left_out(explainer),
    )


def latent_cosines(
    explainer: Explainer, *, max_pairs: int = MOST_PAIRS, title: str | None = None
) -> Figure:
    """Cosines of the angles between all directions p to q (Section 3.3), as a matrix.

    Of three classes or more only p before q is drawn: the opposite direction's cosines are the
    same with the other sign. Two classes have one direction and its opposite.

    Args:
        explainer: of the classifier.
        max_pairs: of more pairs of classes, those whose means are nearest are drawn.
        title: text above; by default says what is shown.

    Raises:
        ValueError: fewer than two classes have a mean, or `max_pairs` is below 1.

    Example:
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> latent_cosines(explainer).texts[0].get_text()
        'cosines between the directions Δ: all 45 pairs'
    """
    pairs, which = _pairs(explainer, max_pairs)
    if len(classes_with_mean(explainer)) == 2:
        pairs = [*pairs, pairs[0][::-1]]
    return cosine_matrix(
        direction_cosines(explainer.classifier.class_means, pairs),
        pairs,
        explainer.class_names,
        title=f"cosines between the directions Δ: {which}" if title is None else title,
        note="1: the same direction, 0: at right angles, −1: opposite, as p → q and q → p are. "
        "Were all class means equally far from each other, directions with the same source or the "
        "same target would have ½, those of which one ends where the other begins −½, all others 0."
        + _left_out(explainer),
    )


def _pairs(explainer: Explainer, max_pairs: int) -> tuple[list[Pair], str]:
    """The pairs to draw, and which ones these are, in words."""
    if isinstance(max_pairs, bool) or not isinstance(max_pairs, int) or max_pairs < 1:
        raise ValueError(f"max_pairs must be a whole number of at least 1, got {max_pairs!r}.")
    classes = classes_with_mean(explainer)
    total = len(classes) * (len(classes) - 1) // 2
    pairs = nearest_pairs(explainer.classifier.class_means, classes, max_pairs)
    if total == 1:
        return pairs, "the only pair"
    if len(pairs) == total:
        return pairs, f"all {total} pairs"
    return pairs, f"the {len(pairs)} nearest of {total} pairs"


def _left_out(explainer: Explainer) -> str:
    missing = explainer.classifier.classes_without_mean
    return f" Left out, as they have no mean: {', '.join(missing)}." if missing else ""
