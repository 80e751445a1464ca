"""A classifier that is asked, the flow that it is explained through, and its class means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.blackbox.predictor import Predictor
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.models.classifier import checked_names

__all__ = ["BlackBox", "distinct_names"]


def distinct_names(names: Sequence[Any] | None) -> list[str] | str | None:
    """Names as texts; None for none.

    Raises:
        ValueError: two classes have the same.
    """
    if names is None or isinstance(names, str):
        return names  # which is refused where their number is known
    texts = [str(name) for name in names]
    for name in texts:
        if texts.count(name) > 1:
            raise ValueError(f"{name!r} names {texts.count(name)} classes: give each its own name.")
    return texts


class BlackBox:
    """What is known of a classifier; the arguments are `BlackBoxExplainer`'s."""

    def __init__(
        self,
        flow: Explainer,
        predictor: Predictor,
        class_means: Tensor,
        class_counts: Tensor,
        class_names: Sequence[str] | None = None,
        *,
        second_direction: bool = False,
    ):
        means = class_means.to(flow.device, flow.dtype)
        num_classes, dims = len(class_counts), flow.classifier.num_dims
        if tuple(means.shape) != (num_classes, dims):
            raise ValueError(
                f"Class means of {num_classes} classes in {dims} dimensions must be "
                f"({num_classes}, {dims}), got {tuple(means.shape)}."
            )
        self.flow, self.predictor = flow, predictor
        self._class_means, self._class_counts = means, class_counts
        self.class_names = checked_names(distinct_names(class_names), num_classes)
        self.second_direction = second_direction
        if predictor.num_classes is None:
            predictor.num_classes = num_classes

    @property
    def class_means(self) -> Tensor:
        """(K, D), where the flow is and as exact."""
        return self._class_means.to(self.device, self.dtype)

    @property
    def class_counts(self) -> Tensor:
        """(K,), how many images each mean is over."""
        return self._class_counts.to(self.device)

    @property
    def num_classes(self) -> int:
        """K, the classifier's."""
        return len(self._class_counts)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return self.flow.image_shape

    @property
    def device(self) -> torch.device:
        """Where the flow computes."""
        return self.flow.device

    @property
    def dtype(self) -> torch.dtype:
        """The flow's precision."""
        return self.flow.dtype

    @property
    def crop(self) -> bool:
        """Whether picture files are cut to their central square."""
        return self.flow.crop

    @property
    def convincing_step(self) -> tuple[float, float]:
        """Offset and slope of alpha_1."""
        return self.flow.convincing_step

    @property
    def truncation(self) -> float:
        """Psi, of the direction."""
        return self.flow.truncation

    @property
    def confidence(self) -> float:
        """What the certified step reaches."""
        return self.flow.confidence

    @property
    def path(self) -> PathSettings:
        """Which way counterfactuals go, and how far: the flow's."""
        return self.flow.path
