"""The paper's Figure 2, made from a trained classifier."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.figures import posterior_percent
from lightning_ecinn.figures.latent_view import LatentMap, LatentPath, latent_map
from lightning_ecinn.latent.directions import pair_of_classes
from lightning_ecinn.latent.plane import LatentPlane
from lightning_ecinn.models.inputs import Classes, as_float, checked_classes
from lightning_ecinn.pictures.convert import Pictures, as_images

__all__ = ["latent_view"]

_STEPS = "input z", "tipping α₀", "convincing α₁"


@torch.no_grad()
def latent_view(
    explainer: Explainer,
    images: Pictures,
    labels: Classes,
    source: int | str | None = None,
    target: int | str | None = None,
    *,
    title: str | None = None,
) -> Figure:
    r"""Latents of two classes in a plane, where they tie, and a counterfactual's path (Figure 2).

    The plane's first axis is the class direction :math:`\Delta_{pq}`, its second the first
    principal direction of the latents of both classes beside it; the latents, the class means and
    the component means mu are projected onto it, at right angles. The path is that of an image of
    the source that is classified correctly, the one that is half way among these along the first
    axis.

    What is exact: coordinates and distances along the axes; the tie, in the plane through alpha_0
    that is parallel to this one and holds the path, unless that is truncated (without a path: in
    the plane through the class means). As mu_q - mu_p lies in no such plane in general, another
    latent may be projected to the other side; the note below says how many are.

    Args:
        explainer: of the classifier.
        images: (B, C, H, W), or of any kind that becomes that; such as a few hundred test images.
        labels: their true classes, (B,).
        source: p, by number or name.
        target: q; of what is not given, the ones whose means are nearest.
        title: text above; by default says what is shown.

    Raises:
        ValueError: there are no such classes, they have no means or equal ones, or the images are
            none, or too few of these classes.

    Example:
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> images, labels, _ = MNIST(source="sample").dataset("test")[torch.arange(200)]
        >>> figure = latent_view(explainer, images, labels, source=4, target=9)
        >>> figure.axes[0].get_xlabel()
        'along Δ, from the class mean of 4 to that of 9 (latent units)'
    """
    images = as_images(images, explainer.image_shape, explainer.crop)
    z, _ = explainer.encode(images)
    labels = _labels(explainer, labels, len(z))
    p, q = pair_of_classes(explainer, source, target)
    names = [explainer.class_names[k] for k in (p, q)]
    means = explainer.classifier.class_means[[p, q]].cpu().double()
    mu = explainer.classifier.mixture.component_means[[p, q]].cpu().double()
    both = (labels == p) | (labels == q)
    _check_present(labels, (p, q), names)
    plane = LatentPlane.between(means[0], means[1], z[both])
    path, tie = _path(explainer, plane, images, z, labels, (p, q))
    through = plane.origin if tie is None else tie
    boundary = plane.boundary(mu[0], mu[1], through)
    points = plane.project(z)
    shown = LatentMap(points, labels, p, q, plane.project(means), plane.project(mu), boundary, path)
    agree = _share_on_its_side(points[both], z[both].cpu().double(), mu, boundary)
    return latent_map(
        shown,
        explainer.class_names,
        axis_labels=(
            f"along Δ, from the class mean of {names[0]} to that of {names[1]} (latent units)",
            "first principal direction beside Δ (latent units)",
        ),
        title=f"latent space, {names[0]} → {names[1]}" if title is None else title,
        note=_note(path is not None, agree, plane.share, means, mu, int(both.sum())),
    )


def _labels(explainer: Explainer, labels: Classes, count: int) -> Tensor:
    found = checked_classes(
        labels, "labels", explainer.num_classes, torch.device("cpu"), explainer.class_names
    )
    if found.shape != (count,):
        raise ValueError(
            f"labels must be ({count},), one for each image, got {tuple(found.shape)}."
        )
    return found


def _check_present(labels: Tensor, pair: tuple[int, int], names: list[str]) -> None:
    for k, name in zip(pair, names, strict=True):
        if not (labels == k).any():
            raise ValueError(f"There is no image of class {name} among {len(labels)}: give some.")


def _path(
    explainer: Explainer,
    plane: LatentPlane,
    images: Tensor,
    z: Tensor,
    labels: Tensor,
    pair: tuple[int, int],
) -> tuple[LatentPath | None, Tensor | None]:
    """The way of a middling image of p, and its latent at alpha_0 (D,)."""
    p, q = pair
    right = (labels == p) & (explainer.classifier.mixture.scores(z).argmax(1).cpu() == p)
    if not right.any():
        return None, None
    candidates = right.nonzero().flatten()
    i = int(candidates[plane.project(z[right])[:, 0].median(0).indices])
    steps = explainer.explain_steps(images[i : i + 1], q, undefined="keep")
    if not steps[0].defined.all():
        return None, None
    latents = torch.cat([z[i : i + 1], *(cf.latent for cf in steps)])
    pictures = [as_float(images[i]), *(cf.image[0] for cf in steps)]
    before = steps[0].input_posterior[0, q].item()
    posteriors = [before, *(cf.target_posterior.item() for cf in steps)]
    name = explainer.class_names[q]
    captions = [
        f"{what}: p({name}) {posterior_percent(posterior)}"
        for what, posterior in zip(_STEPS, posteriors, strict=True)
    ]
    return LatentPath(plane.project(latents), pictures, captions), latents[1]


def _share_on_its_side(points: Tensor, z: Tensor, mu: Tensor, boundary: Tensor) -> float:
    """Of latents z (N, D), those that lie on the side of the line that the classifier takes."""
    drawn = points @ boundary[:2] + boundary[2] > 0
    true = (z - mu.mean(0)) @ (mu[1] - mu[0]) > 0
    return (drawn == true).double().mean().item()


def _note(has_path: bool, agree: float, share: float, means: Tensor, mu: Tensor, count: int) -> str:
    cosine = torch.cosine_similarity(means.diff(dim=0), mu.diff(dim=0)).item()
    where = "through α₀" if has_path else "through the class means, as there is no path"
    return (
        "Latents are projected at right angles; a unit is one standard deviation of a mixture "
        f"component. The second axis carries {100 * share:.1f} % of the variance beside the first. "
        f"The tie is exact in the parallel plane {where}; {100 * agree:.1f} % of the {count:,} "
        "coloured images lie on the side of it that the classifier takes. Cosine of the angle "
        f"between Δ and μ(q) − μ(p): {cosine:.2f}."
    )
