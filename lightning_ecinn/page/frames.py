"""What the page shows of an image on its way to a class: pictures, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_ecinn.blackbox import AnyExplainer, BlackBoxExplainer, flow_of
from lightning_ecinn.ecinn.certificates import log_prob_quantile
from lightning_ecinn.ecinn.checks import finite
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.steps import NamedStep
from lightning_ecinn.metrics.proximity import en
from lightning_ecinn.metrics.two_sample import in_8_bits

__all__ = ["STEPS", "PathFrames", "frames_towards"]

STEPS: tuple[NamedStep, ...] = ("tipping", "star", "certified", "convincing")
"""The steps that are marked."""

_BEYOND = 1.2
"""The last frame is this many times as far as the largest marked step."""


@dataclass(frozen=True)
class PathFrames:
    """F frames of one image on its way to one class, by length of the step, on the CPU.

    Attributes:
        source: p, the class that the image is classified as.
        target: q.
        defined: whether there is a step from p to q, or none is needed.
        alphas: (F,), increasing; where there is no step, or none is needed, one frame at 0.
        pictures: (F, C, H, W), uint8, as a person sees them.
        posterior: (F, K), p(y) of these very pictures.
        log_prob: (F,), log p(x') of them, in nats.
        quantile: (F,), share of the training images that are less likely; None where the
            checkpoint does not have their likelihoods.
        distance: (F,), the elastic net distance to the input, pictures in [0, 1].
        marks: the frames of the `STEPS` that there are; a step that was searched for in vain, for
            which the certificate does not hold, is not certified and not marked.
        reasons: why the certificates of the certified and of the convincing step do not hold, ""
            where they do.
    """

    source: int
    target: int
    defined: bool
    alphas: Tensor
    pictures: Tensor
    posterior: Tensor
    log_prob: Tensor
    quantile: Tensor | None
    distance: Tensor
    marks: dict[str, int]
    reasons: dict[str, str]


@torch.no_grad()
def frames_towards(
    explainer: AnyExplainer, image: Tensor, targets: Tensor, count: int
) -> list[PathFrames]:
    """The frames of one image on its way to each of T classes.

    Args:
        explainer: makes the counterfactuals.
        image: (1, C, H, W), uint8.
        targets: (T,).
        count: evenly spaced frames of each way; the marked steps come on top.

    Example:
        >>> from lightning_ecinn import MNIST
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> image, _, _ = MNIST(source="sample").dataset("test")[torch.arange(1)]
        >>> to_3, to_7 = frames_towards(explainer, image, torch.tensor([3, 7]), count=5)
        >>> to_3.pictures.shape, to_3.marks
        (torch.Size([8, 1, 28, 28]), {'tipping': 2, 'star': 2, 'certified': 4, 'convincing': 6})
        >>> to_7.source, to_7.alphas  # it is a seven already
        (7, tensor([0.]))
    """
    target = targets.unsqueeze(0)
    named = explainer.explain_steps(image, target, STEPS, undefined="keep")
    marked = torch.stack([_exists(step, cf)[0] for step, cf in zip(STEPS, named, strict=True)])
    furthest = torch.stack([cf.alpha[0] for cf in named]).where(marked, 0).amax(0)
    share = torch.linspace(0, 1, count, dtype=furthest.dtype, device=furthest.device)
    even = explainer.explain_steps(
        image, target, list(share.view(-1, 1, 1) * _BEYOND * furthest), undefined="keep"
    )
    alphas = torch.stack([cf.alpha[0] for cf in (*named, *even)], 1).cpu()
    pictures = torch.stack([in_8_bits(cf.image_8bit[0]) for cf in (*named, *even)], 1).cpu()
    chosen = [_chosen(alphas[t], marked[:, t].tolist()) for t in range(len(targets))]
    seen = _seen(explainer, torch.cat([pictures[t, rows] for t, rows in enumerate(chosen)]))
    parts = zip(*(part.split([len(rows) for rows in chosen]) for part in seen), strict=True)
    return [
        _path_frames(explainer, named, t, rows, alphas[t], pictures[t], marked[:, t], *part)
        for t, (rows, part) in enumerate(zip(chosen, parts, strict=True))
    ]


def _exists(step: str, cf: Counterfactual) -> Tensor:
    """Where a named step is one to mark, bool (1, T)."""
    exists = cf.defined & (cf.source != cf.target)
    return exists & cf.certificate.holds if step == "certified" else exists


def _chosen(alphas: Tensor, marked: Sequence[bool]) -> list[int]:
    """The numbers of the frames to show, by length of the step, each length once.

    Args:
        alphas: (S,), those of the `STEPS` first.
        marked: which of the `STEPS` there are.
    """
    first: dict[float, int] = {}
    for row, alpha in enumerate(alphas.tolist()):
        if row >= len(marked) or marked[row]:
            first.setdefault(alpha, row)
    return [first[alpha] for alpha in sorted(first)]


def _seen(explainer: AnyExplainer, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Posteriors (N, K) and log p (N,) of pictures (N, C, H, W), encoded once."""
    if isinstance(explainer, BlackBoxExplainer):
        return explainer.posterior(pictures).cpu(), explainer.log_prob(pictures).cpu()
    z, log_det = explainer.encode(pictures)
    mixture = explainer.classifier.mixture
    posterior = finite(mixture.log_posterior(z).exp(), "posteriors")
    return posterior.cpu(), finite(mixture.log_prob(z) + log_det, "log-likelihoods").cpu()


def _path_frames(
    explainer: AnyExplainer,
    named: Sequence[Counterfactual],
    t: int,
    rows: list[int],
    alphas: Tensor,
    pictures: Tensor,
    marked: Tensor,
    posterior: Tensor,
    log_prob: Tensor,
) -> PathFrames:
    """Those of target t, for the chosen rows of its steps (S,) and pictures (S, C, H, W)."""
    lengths, shown = alphas[rows], pictures[rows]
    where = {alpha: frame for frame, alpha in enumerate(lengths.tolist())}
    classifier, convincing = flow_of(explainer).classifier, named[STEPS.index("convincing")]
    quantiles = classifier.log_prob_quantiles.cpu() if classifier.has_log_prob_quantiles else None
    seen, before = shown.double() / 255, in_8_bits(convincing.input[0, t]).cpu().double() / 255
    return PathFrames(
        source=int(convincing.source[0, t]),
        target=int(convincing.target[0, t]),
        defined=bool(convincing.defined[0, t]),
        alphas=lengths,
        pictures=shown,
        posterior=posterior,
        log_prob=log_prob,
        quantile=None if quantiles is None else log_prob_quantile(log_prob, quantiles),
        distance=en(before.expand_as(seen), seen),
        marks={s: where[float(alphas[k])] for k, s in enumerate(STEPS) if marked[k]},
        reasons={
            step: cf.certificate.reason[0][t]
            for step, cf in zip(STEPS, named, strict=True)
            if step in ("certified", "convincing")
        },
    )
