"""Certificates: whether a counterfactual, as a person sees it, is what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "HALF_GREY_LEVEL",
    "Certificate",
    "even_quantiles",
    "in_rows",
    "log_prob_quantile",
    "what_fails",
]

HALF_GREY_LEVEL = 0.5 / 255
"""The largest error of the inverse that rounding to 8 bits hides."""

Reasons = list[str] | list[list[str]]


@dataclass(frozen=True)
class Certificate:
    """What a classifier says of counterfactuals rounded to 8 bits and encoded again.

    With T targets per image every shape (B, ...) is (B, T, ...). p is the class of the input, q
    the class asked for, c the counterfactual as a person sees it.

    Attributes:
        predicted: (B,), the class of c.
        posterior: (B, K), p(y|c).
        tipping_gap: (B,), abs(log p(p|c) - log p(q|c)), 0 at a tie.
        third_class: (B,), whether ``predicted`` is neither p nor q.
        log_prob_before: (B,), exact log p(x') of the input in nats, without noise (u = 1/2).
        log_prob_after: (B,), that of c.
        quantile_before: (B,), share in [0, 1] of the training images that are less likely than
            the input; None where the checkpoint does not have their likelihoods.
        quantile_after: (B,), that of c.
        reconstruction_error: (B,), largest difference of the input and its reconstruction, not
            clamped, in units of the range [0, 1].
        precision: what was computed in, "float32" or "float64".
        forward_evaluations: (B,), network evaluations that the counterfactual cost; encoding the
            image counts once for each of its targets. The certificate's own are not among them.
        inverse_evaluations: (B,), inverse ones.
        holds: (B,), whether c is what was asked for.
        reason: why not, a list of B sentences, empty where it holds; B lists of T with targets.

    Example:
        >>> from lightning_ecinn import MNIST, Explainer
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> images, labels, _ = MNIST(source="sample").dataset("test")[torch.arange(4)]
        >>> certificate = explainer.explain(images, 3, 0.2).certificate  # no step is so short
        >>> certificate.holds.any(), certificate.reason[0]
        (tensor(False), 'still classified as 7')
        >>> [row["predicted"] for row in certificate.rows()]
        [7, 2, 1, 0]
    """

    predicted: Tensor
    posterior: Tensor
    tipping_gap: Tensor
    third_class: Tensor
    log_prob_before: Tensor
    log_prob_after: Tensor
    quantile_before: Tensor | None
    quantile_after: Tensor | None
    reconstruction_error: Tensor
    precision: str
    forward_evaluations: Tensor
    inverse_evaluations: Tensor
    holds: Tensor
    reason: Reasons

    def __getitem__(self, key: slice | Sequence[int] | Tensor) -> Certificate:
        """Those of some images, chosen as a tensor's rows are."""
        chosen = torch.arange(len(self.holds))[key].tolist()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {name: v[key] for name, v in values.items() if isinstance(v, Tensor)}
        return Certificate(**values | {"reason": [self.reason[i] for i in chosen]})

    def rows(self) -> list[dict[str, Any]]:
        """Plain values, one dict per counterfactual, image by image and target by target."""
        count, ndim = self.holds.numel(), self.holds.ndim
        columns = {}
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if isinstance(value, Tensor):
                columns[name] = value.flatten(0, ndim - 1).tolist()
            elif name == "reason":
                columns[name] = value if ndim == 1 else [text for row in value for text in row]
            else:
                columns[name] = [value] * count
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def log_prob_quantile(log_prob: Tensor, quantiles: Tensor) -> Tensor:
    """Rank in [0, 1] of log-likelihoods (...) among those with the given quantiles.

    Args:
        log_prob: in nats.
        quantiles: (Q,), evenly spaced from the smallest to the largest, linear in between.

    Returns:
        (...) float64; 0 below the smallest, 1 from the largest on.
    """
    grid, x = quantiles.double(), log_prob.double().contiguous()
    last = len(grid) - 1
    above = torch.searchsorted(grid, x, right=True).clamp(1, last)
    low, high = grid[above - 1], grid[above]
    share = torch.where(high > low, (x - low) / (high - low), (x >= high).double())
    return (above - 1 + share.clamp(0, 1)) / last


def even_quantiles(values: Tensor, count: int) -> Tensor:
    """Quantiles 0, 1/(count - 1), ..., 1 of values (N,), by linear interpolation, float64."""
    shares = torch.linspace(0, 1, count, dtype=torch.float64, device=values.device)
    return values.double().quantile(shares)


def what_fails(
    *,
    source: Tensor,
    target: Tensor,
    defined: Tensor,
    predicted: Tensor,
    posterior: Tensor,
    error: Tensor,
    class_names: Sequence[str],
    precision: str,
    before_every_class: bool,
    confidence: float | None,
) -> list[str]:
    """One sentence for each of N counterfactuals that is not what was asked for, else "".

    Args:
        source: (N,), p.
        target: (N,), q.
        defined: (N,), whether there is a step from p to q.
        predicted: (N,), the class of the picture in 8 bits.
        posterior: (N, K), of that picture.
        error: (N,), of the input's reconstruction.
        class_names: one name per class.
        precision: what was computed in.
        before_every_class: whether the step was to put q before every class.
        confidence: the posterior of q that was asked for, if any was.
    """
    reason = partial(
        _reason,
        class_names=class_names,
        precision=precision,
        before_every_class=before_every_class,
        confidence=confidence,
    )
    chosen = torch.gather(posterior, 1, torch.stack((target, predicted), 1)).unbind(1)
    columns = (source, target, predicted, defined, error, *chosen)
    return list(map(reason, *(column.tolist() for column in columns)))


def _reason(
    p: int,
    q: int,
    predicted: int,
    defined: bool,
    error: float,
    posterior_target: float,
    posterior_predicted: float,
    *,
    class_names: Sequence[str],
    precision: str,
    before_every_class: bool,
    confidence: float | None,
) -> str:
    """The sentence for one counterfactual."""
    source, target = class_names[p], class_names[q]
    if not defined and before_every_class:
        return f"no step along this direction puts {target} before every class"
    if not defined:
        return f"no step leads from {source} to {target}"
    if p != q and not error <= HALF_GREY_LEVEL:
        remedy = "train longer" if precision == "float64" else "use float64"
        return f"the inverse is off by {error:.2g} in {precision}: {remedy}"
    if predicted not in (p, q):
        third = class_names[predicted]
        return f"classified as {third}, a third class, with {posterior_predicted:.2f}"
    if predicted != q:
        return f"still classified as {source}"
    if p != q and confidence is not None and not posterior_target >= confidence:
        return f"p({target}) is {posterior_target:.4g}, asked for {confidence:g}"
    return ""


def in_rows(reasons: list[str], shape: Sequence[int]) -> Reasons:
    """A list of B sentences as it is, one of B T sentences as B lists of T."""
    if len(shape) == 1:
        return reasons
    return [reasons[k * shape[1] : (k + 1) * shape[1]] for k in range(shape[0])]
