"""What a method is to explain, and how it does so a few pictures at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.attribution.scores import Model, PairScore

__all__ = ["Task"]

# What autograd says where the images' gradient is asked for and there is none.
_NO_GRADIENT = ("does not require grad", "not have been used in the graph", "doesn't require grad")


@dataclass(frozen=True)
class Task:
    """What to explain.

    Attributes:
        model: as the caller gave it.
        score: its pair score.
        images: (B, C, H, W), float in [0, 1].
        target: q, (B,).
        source: p, (B,).
        baselines: (N, C, H, W), like the images.
        chunk_size: pictures that may go through the model at once.
        seed: of the draws.
        options: of the method.
    """

    model: Model
    score: PairScore
    images: Tensor
    target: Tensor
    source: Tensor
    baselines: Tensor
    chunk_size: int
    seed: int
    options: Mapping[str, Any]

    def captum(self, method: Any, x: Tensor, i: Tensor, **kwargs: Any) -> Tensor:
        """Captum's heatmaps (n, C, H, W) of the pair scores at x for the images' numbers i."""
        classes = (self.target[i], self.source[i])
        x = x.detach().requires_grad_()
        try:
            heatmap = method.attribute(x, additional_forward_args=classes, **kwargs)
        except RuntimeError as error:
            if not any(words in str(error) for words in _NO_GRADIENT):
                raise
            raise ValueError(
                "The model's logits have no gradient in the images: compute them without "
                "rounding, detach or no_grad, or use occlusion."
            ) from None
        return heatmap.detach().to(x)  # Captum's Occlusion adds up in float32

    def mean(self, count: int, size: int, heat: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The mean over j < count of heat(i, j) for every image i, (B, C, H, W).

        Args:
            count: how many heatmaps each image has.
            size: how many pairs (i, j) are computed at once.
            heat: heatmaps (n, C, H, W) of pairs i (n,), j (n,).
        """
        total = torch.zeros_like(self.images)
        pairs = torch.arange(len(self.images) * count, device=total.device)
        for pair in pairs.split(size):
            i = pair // count
            total.index_add_(0, i, heat(i, pair % count))
        return total / count
