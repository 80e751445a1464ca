"""What is measured of each counterfactual: a table with one row for each, in columns."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.blackbox import AnyExplainer
from lightning_ecinn.ecinn.alphas import alpha_name
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.steps import NamedStep
from lightning_ecinn.evaluation.properties import properties_of
from lightning_ecinn.metrics import (
    en,
    flip,
    heatmap_mass,
    heatmap_pointing,
    heatmap_rank,
    im1,
    im2,
    l1,
    l2,
    label_variation,
    sparsity,
    validity,
)
from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.networks import Network

__all__ = ["Judges", "Rows", "joined", "measured"]

Rows = dict[str, np.ndarray]
"""Columns of equal length R."""

_OF_THE_POSTERIOR = ("validity", "flip", "third_class", "holds")
"""Columns that mean nothing, and are NaN, where a posterior is no number."""


@dataclass(frozen=True)
class Judges:
    """Other models that look at the counterfactuals, on the device of the explainer.

    Attributes:
        oracle: a classifier that knows nothing of the one explained.
        same_classes: whether its classes are those of the one explained: else it can say how much
            a picture changed to it, but not whether it is the target.
        autoencoders: of each class and of all.
        others: classifiers of other labels, whose answers should stay, by the label's name.
    """

    oracle: Network | None = None
    same_classes: bool = True
    autoencoders: Autoencoders | None = None
    others: Mapping[str, Network] = field(default_factory=dict)

    def to(self, device: torch.device) -> None:
        """Move all models."""
        for model in (self.oracle, self.autoencoders, *self.others.values()):
            if model is not None:
                model.to(device).eval()


@torch.no_grad()
def measured(
    explainer: AnyExplainer,
    batch: Mapping[str, Tensor],
    alpha: NamedStep | float,
    judges: Judges,
    mask: Any = None,
    before: Mapping[str, Tensor] | None = None,
) -> Rows:
    """The rows of a batch's counterfactuals at one step.

    All measures are of the picture rounded to 8 bits. Images that already are the target
    (``already``) and pairs without a step (``defined`` False) have rows too, in which the
    counterfactual is the image itself.

    Args:
        explainer: makes the counterfactuals.
        batch: ``images`` (B, C, H, W), ``label``, ``index`` and ``target``, each (B,).
        alpha: "tipping", "convincing", "star", "certified" or a length.
        judges: other models; what they measure is left out where there is none.
        mask: from source (B,) and target (B,), the pixels that truly tell them apart, bool
            (B, C or 1, H, W), or None.
        before: the images' own `evaluation.properties_of`, each (B,), to compare with the
            counterfactuals'; they are left out without them.

    Returns:
        (B,) for each column; ``features`` (B, F) and ``input_features`` are the oracle's, and
        ``picture`` (B, C, H, W) uint8 is the counterfactual.
    """
    start = _now(explainer.device)
    cf = explainer.explain(batch["images"], batch["target"], alpha, undefined="keep")
    seconds = (_now(explainer.device) - start) / len(cf.input)
    columns = {
        **{name: batch[name] for name in ("index", "label")},
        **_asked(cf),
        **_classified(cf),
        **_moved(cf),
        **_located(cf, None if mask is None else mask(cf.source, cf.target)),
        **_survived(cf, before),
        **_judged(cf, judges),
        **_cost(cf, seconds),
    }
    columns["picture"] = (cf.image_8bit * 255).round().clamp(0, 255).to(torch.uint8)
    rows = {"step": np.full(len(cf.input), alpha_name(alpha))}
    rows |= {name: column.cpu().numpy() for name, column in columns.items()}
    rows["reason"] = np.array(cf.certificate.reason, dtype=object).reshape(len(cf.input))
    return rows


def joined(parts: Sequence[Rows]) -> Rows:
    """All rows in one table, by image, target and step; none twice."""
    if not parts:
        return {}
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    keys = [rows[name] for name in ("index", "target", "step")]
    order = np.lexsort(keys[::-1])
    repeated = np.ones(len(order), dtype=bool)
    if len(order):
        repeated[0] = False
        for key in keys:
            repeated[1:] &= key[order][1:] == key[order][:-1]
    return {name: column[order[~repeated]] for name, column in rows.items()}


def _asked(cf: Counterfactual) -> dict[str, Tensor]:
    return {
        "source": cf.source,
        "target": cf.target,
        "already": cf.source == cf.target,
        "defined": cf.defined,
        "alpha": cf.alpha,
    }


def _moved(cf: Counterfactual) -> dict[str, Tensor]:
    """How far the picture is from the image."""
    x, c = cf.input, cf.image_8bit
    return {"l1": l1(x, c), "l2": l2(x, c), "en": en(x, c), "sparsity": sparsity(x, c)}


def _classified(cf: Counterfactual) -> dict[str, Tensor]:
    """What the classifier itself says about the picture, from the certificate."""
    certificate = cf.certificate
    posterior = certificate.posterior
    columns = {
        "predicted": certificate.predicted,
        "source_posterior": posterior.gather(1, cf.source[:, None])[:, 0],
        "target_posterior": posterior.gather(1, cf.target[:, None])[:, 0],
        "validity": validity(certificate.predicted, cf.target),
        "flip": flip(certificate.predicted, cf.source),
        "third_class": certificate.third_class,
        "tipping_gap": certificate.tipping_gap,
        "log_prob_before": certificate.log_prob_before,
        "log_prob_after": certificate.log_prob_after,
        "reconstruction_error": certificate.reconstruction_error,
        "holds": certificate.holds,
    }
    if certificate.quantile_before is not None and certificate.quantile_after is not None:
        columns["quantile_before"] = certificate.quantile_before
        columns["quantile_after"] = certificate.quantile_after
    known = posterior.isfinite().all(1)
    for name in () if known.all() else _OF_THE_POSTERIOR:
        columns[name] = columns[name].double().masked_fill(~known, torch.nan)
    return columns


def _located(cf: Counterfactual, mask: Tensor | None) -> dict[str, Tensor]:
    """How well the change hits the pixels that truly tell the classes apart, where they are known.

    NaN for an image of which no such pixel is known.
    """
    if mask is None:
        return {}
    heatmap = cf.image_8bit - cf.input
    mask = mask.expand_as(heatmap)
    known = mask.flatten(1).any(1)
    columns = {
        "heatmap_mass": heatmap_mass(heatmap, mask),
        "heatmap_pointing": heatmap_pointing(heatmap, mask).double(),
        "heatmap_rank": heatmap_rank(heatmap, mask | ~known.view(-1, 1, 1, 1)),
    }
    return {name: column.masked_fill(~known, torch.nan) for name, column in columns.items()}


def _survived(cf: Counterfactual, before: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """Tilt, weight and size of the image and of its counterfactual."""
    if before is None:
        return {}
    after = properties_of(cf.image_8bit)
    columns = {f"{name}_before": column for name, column in before.items()}
    return columns | {f"{name}_after": column for name, column in after.items()}


def _judged(cf: Counterfactual, judges: Judges) -> dict[str, Tensor]:
    x, c = cf.input.float(), cf.image_8bit.float()
    columns = _of_other_labels(x, c, judges.others)
    if judges.autoencoders is not None:
        columns["im1"] = im1(c, cf.source, cf.target, judges.autoencoders)
        columns["im2"] = im2(c, cf.target, judges.autoencoders)
    if (oracle := judges.oracle) is not None:
        before, after = oracle.posterior(x), oracle.posterior(c)
        columns["label_variation"] = label_variation(before, after)
        columns["oracle_class"] = after.argmax(1)
        columns["input_features"], columns["features"] = oracle.features(x), oracle.features(c)
        if judges.same_classes:
            columns["oracle_agreement"] = validity(columns["oracle_class"], cf.target)
    return columns


def _of_other_labels(x: Tensor, c: Tensor, others: Mapping[str, Network]) -> dict[str, Tensor]:
    """How much the answers about other labels change from x to c, for each of them."""
    columns = {}
    for name, network in others.items():
        before, after = network.posterior(x), network.posterior(c)
        columns[f"label_variation_of_{name}"] = label_variation(before, after)
        columns[f"answer_kept_of_{name}"] = before.argmax(1) == after.argmax(1)
    return columns


def _cost(cf: Counterfactual, seconds: float) -> dict[str, Tensor]:
    return {
        "forward_evaluations": cf.forward_evaluations,
        "inverse_evaluations": cf.inverse_evaluations,
        "seconds": torch.full(cf.alpha.shape, seconds, dtype=torch.float64),
    }


def _now(device: torch.device) -> float:
    """Seconds; on a GPU, once it has finished what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
