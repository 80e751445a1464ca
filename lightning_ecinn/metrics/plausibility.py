"""Do counterfactuals look like images? By the exact density, and by a network's features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from lightning_ecinn.metrics.checks import finite, is_number, one_column

__all__ = ["fid", "is_plausible"]


def is_plausible(log_prob: Tensor, reference_quantile: Tensor | float) -> Tensor:
    """Whether log p(c) (B,) is above a low quantile, such as 5 %, of real images, bool (B,).

    Example:
        >>> import torch
        >>> is_plausible(torch.tensor([-900.0, -1200.0]), -1000.0)
        tensor([ True, False])
    """
    known: Any = reference_quantile
    if is_number(known):
        known = torch.tensor(float(known), dtype=torch.float64)
    reference = finite(known, "reference_quantile")
    if reference.numel() not in (1, len(one_column(log_prob, "log_prob"))):
        raise ValueError(
            f"reference_quantile must be one number or one for each of {len(log_prob)}, got shape "
            f"{tuple(reference.shape)}."
        )
    return log_prob > reference.reshape(-1).to(log_prob.device)


def fid(real: Tensor, counterfactual: Tensor) -> Tensor:
    """Fréchet distance (Heusel et al. 2017) of two sets of images by some network's features.

    Args:
        real: features of images, (N, F), N at least 2, such as `networks.Network.features`.
        counterfactual: those of counterfactuals, (M, F), M at least 2.

    Returns:
        A scalar. Distances by the features of different networks can't be compared.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0]])
        >>> f"{fid(features, features + 2).item():.2f}"
        '8.00'
    """
    _check_features(real, counterfactual)
    metric = FrechetInceptionDistance(_Known(real.shape[1]))
    metric.distributed_available_fn = lambda: False  # all features are here
    metric.update(real, real=True)
    metric.update(counterfactual, real=False)
    return finite(metric.compute(), "The distance of the features")


def _check_features(real: Tensor, counterfactual: Tensor) -> None:
    shapes = [finite(features, "Features").shape for features in (real, counterfactual)]
    if any(len(shape) != 2 or min(shape) < 1 or shape[0] < 2 for shape in shapes) or (
        shapes[0][1] != shapes[1][1]
    ):
        raise ValueError(
            "Features must be (N, F) of one F with N at least 2, got "
            f"{' and '.join(str(tuple(shape)) for shape in shapes)}."
        )


class _Known(nn.Module):
    """Features that are computed already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
