"""The mean of any measure as a torchmetric: over all updates, on any number of processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_ecinn.metrics.checks import one_column

__all__ = ["MeanMeasure"]


class MeanMeasure(Metric):
    """Mean of a measure over all counterfactuals, in double precision.

    A LightningModule that has one as ``self.validity`` updates it in its steps and logs it:
    ``self.log("test/validity", self.validity)``.

    Args:
        measure: gives a value per counterfactual, (B,), as the functions beside it do.
        **kwargs: of `torchmetrics.Metric`.

    Example:
        >>> from lightning_ecinn.metrics import validity
        >>> mean = MeanMeasure(validity)
        >>> mean.update(torch.tensor([8, 3, 1]), torch.tensor([8, 3, 0]))  # predicted, target
        >>> mean.update(torch.tensor([4]), torch.tensor([4]))
        >>> mean.compute().item()
        0.75
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, measure: Callable[..., Tensor], **kwargs: Any):
        super().__init__(**kwargs)
        self.measure = measure
        zero = torch.zeros((), dtype=torch.float64)
        self.add_state("total", zero, dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add counterfactuals: takes what the measure takes."""
        values = one_column(self.measure(*args, **kwargs), "The values of a measure")
        self.total += values.double().sum()
        self.count += len(values)

    def compute(self) -> Tensor:
        """The mean, a float64 scalar.

        Raises:
            ValueError: if there is no counterfactual.
        """
        if not self.count:
            raise ValueError(
                f"{self.measure.__name__} has no counterfactual to measure: add some with `update`."
            )
        return self.total / self.count
