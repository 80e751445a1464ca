"""What is drawn of a few images: posteriors along the path, faithfulness of heatmaps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_ecinn.attribution import attribute, why_not
from lightning_ecinn.blackbox import AnyExplainer, BlackBoxExplainer
from lightning_ecinn.metrics import deletion_curve, insertion_curve
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.inputs import as_float

__all__ = ["FAITHFUL_METHODS", "direction_cosines", "faithfulness", "posteriors_along_path"]

FAITHFUL_METHODS = ("ecinnh", "integrated_gradients")


@torch.no_grad()
def posteriors_along_path(
    explainer: AnyExplainer, images: Tensor, target: Tensor, t: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Posteriors of p and of q at the latents of the steps t alpha_0, (N, T) each.

    Another classifier than the flow's own is asked about the pictures of these latents.

    Args:
        explainer: makes the counterfactuals.
        images: (N, C, H, W); those from which there is no step to their target are left out.
        target: q, (N,).
        t: multiples of the tipping point alpha_0.

    Raises:
        ValueError: there are no multiples, or one is no finite number.
    """
    if not len(t) or not all(math.isfinite(k) for k in t):
        raise ValueError(f"t must be finite multiples of the tipping point, got {list(t)}.")
    tipping = explainer.explain(images, target, "tipping", undefined="keep")
    there = tipping.defined.to(images.device)
    z, _ = explainer.encode(images[there])
    pairs = torch.stack((tipping.source, tipping.target), dim=1)[there]
    path = tipping.latent[there] - z
    found = [_posterior_at(explainer, z + k * path).gather(1, pairs) for k in t]
    source, target = torch.stack(found, dim=2).unbind(1)
    return source, target


def _posterior_at(explainer: AnyExplainer, latents: Tensor) -> Tensor:
    """p(y|z), or what a classifier says of the pictures of z, (N, K)."""
    if isinstance(explainer, BlackBoxExplainer):
        return explainer.posterior(explainer.flow.decode(latents))
    return explainer.classifier.mixture.log_posterior(latents).exp()


def direction_cosines(classifier: GenerativeClassifier) -> Tensor:
    """Cosines of Delta_pq and mu_q - mu_p, (K, K) float64: 1 where the step is the shortest.

    NaN where there is no direction: on the diagonal, and for classes without a mean.
    """
    has_mean = classifier.class_counts > 0
    means = classifier.class_means.double()
    mu = classifier.mixture.component_means.detach().double()
    delta, w = (m[None] - m[:, None] for m in (means, mu))
    cosines = torch.cosine_similarity(delta, w, dim=2)
    known = has_mean[:, None] & has_mean & ~torch.eye(len(mu), dtype=torch.bool, device=mu.device)
    return cosines.masked_fill(~known, torch.nan)


def faithfulness(
    explainer: AnyExplainer,
    images: Tensor,
    source: Tensor,
    target: Tensor,
    steps: int = 28,
) -> dict[str, dict[str, Tensor]]:
    """Deletion and insertion curves of heatmaps that explain p against q, before black.

    Args:
        explainer: its classifier is explained.
        images: (B, C, H, W).
        source: p, (B,): its posterior is followed.
        target: q, (B,).
        steps: in how many steps the pixels are replaced.

    Returns:
        "deletion" and "insertion", of each method that the classifier has heatmaps of, the curves
        (B, steps + 1).
    """
    curves: dict[str, dict[str, Tensor]] = {"deletion": {}, "insertion": {}}
    x = as_float(images.to(explainer.device), explainer.dtype)
    black = torch.zeros_like(x)

    def probability(pictures: Tensor) -> Tensor:
        return explainer.posterior(pictures).gather(1, source[:, None])[:, 0]

    for method in FAITHFUL_METHODS:
        if why_not(explainer, method):
            continue
        heatmap = attribute(explainer, images, target, method=method).values
        curves["deletion"][method] = deletion_curve(probability, x, heatmap, black, steps)
        curves["insertion"][method] = insertion_curve(probability, x, heatmap, black, steps)
    return curves
