"""What `predict` leaves: the counterfactuals of a data split in one compressed file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from lightning_ecinn.callbacks.prediction_writer import PredictionWriter
from lightning_ecinn.ecinn.counterfactuals import Counterfactual

__all__ = ["CounterfactualWriter"]


class CounterfactualWriter(PredictionWriter):
    """Write ``<run>/counterfactuals.npz`` after `predict`, complete under several processes.

    Arrays, N images in the order of the split and T targets: ``inputs`` uint8 (N, C, H, W),
    ``sources`` (N,), ``targets`` (N, T), ``alphas`` (N, T), ``pictures`` uint8 (N, T, C, H, W),
    ``posteriors`` (N, T) of the target at the counterfactual's latent, ``defined`` (N, T),
    ``class_names`` (K,).

    From the certificates, of the pictures as written, all (N, T): ``holds`` and ``reasons`` (up to
    128 characters, empty where it holds), ``predicted``, ``picture_posteriors`` of the target,
    ``tipping_gaps``, ``third_class``, ``log_probs_before`` and ``log_probs_after``,
    ``quantiles_before`` and ``quantiles_after`` (unless the checkpoint has none),
    ``reconstruction_errors``, ``precisions``, ``forward_evaluations``, ``inverse_evaluations``.

    Args:
        filename: name of the file in the run's folder.

    Example:
        >>> callbacks = make_callbacks(counterfactuals=CounterfactualWriter("mine.npz"))
        >>> [c.filename for c in callbacks if isinstance(c, CounterfactualWriter)]
        ['mine.npz']
    """

    content = "counterfactuals"

    def __init__(self, filename: str = "counterfactuals.npz"):
        super().__init__(filename)

    def arrays(self, prediction: Any) -> dict[str, np.ndarray] | None:
        """Of counterfactuals; of nothing else."""
        return _arrays(prediction) if isinstance(prediction, Counterfactual) else None

    def missing(self, arrays: dict[str, np.ndarray]) -> tuple[str, bool]:
        """How many counterfactuals there are not, and why; own classes alone are no matter."""
        moves = arrays["targets"] != arrays["sources"][:, None]
        exists = moves & arrays["defined"]
        unknown = exists & ~np.isfinite(arrays["picture_posteriors"])
        if exists.any() and np.array_equal(exists, moves) and not unknown.any():
            return "", False
        text = (
            f"{exists.sum():,} of {exists.size:,} counterfactuals exist, {unknown.sum():,} of them "
            f"with a posterior that is no number: {(~moves).sum():,} are of the image's own class, "
            f"to {(moves & ~exists).sum():,} no step leads."
        )
        return text, not (exists & ~unknown).any()

    def class_names(self, pl_module: pl.LightningModule) -> tuple[str, ...]:
        """One name per class."""
        return pl_module.explainer.class_names  # type: ignore[union-attr,return-value]


def _arrays(cf: Counterfactual) -> dict[str, np.ndarray]:
    return {
        "inputs": _to_uint8(cf.input[:, 0]),
        "sources": cf.source[:, 0].cpu().numpy(),
        "targets": cf.target.cpu().numpy(),
        "alphas": cf.alpha.cpu().numpy(),
        "pictures": _to_uint8(cf.image),
        "posteriors": cf.target_posterior.cpu().numpy(),
        "defined": cf.defined.cpu().numpy(),
        **_certified(cf),
    }


def _certified(cf: Counterfactual) -> dict[str, np.ndarray]:
    certificate = cf.certificate
    tensors = {
        "holds": certificate.holds,
        "predicted": certificate.predicted,
        "picture_posteriors": certificate.posterior.gather(-1, cf.target.unsqueeze(-1)).squeeze(-1),
        "tipping_gaps": certificate.tipping_gap,
        "third_class": certificate.third_class,
        "log_probs_before": certificate.log_prob_before,
        "log_probs_after": certificate.log_prob_after,
        "quantiles_before": certificate.quantile_before,
        "quantiles_after": certificate.quantile_after,
        "reconstruction_errors": certificate.reconstruction_error,
        "forward_evaluations": certificate.forward_evaluations,
        "inverse_evaluations": certificate.inverse_evaluations,
    }
    arrays = {name: v.cpu().numpy() for name, v in tensors.items() if v is not None}
    # Of one width, so that the parts of several processes fit together.
    arrays["reasons"] = np.array(certificate.reason, dtype="<U128")
    arrays["precisions"] = np.full(cf.target.shape, certificate.precision)
    return arrays


def _to_uint8(images: torch.Tensor) -> np.ndarray:
    return (images * 255).round().to(torch.uint8).cpu().numpy()
