"""alibi's CounterfactualProto as a black-box method: towards prototypes of k-d trees."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.models.preprocessing import round_to_8_bits

__all__ = ["Prototypes"]

Ask = Callable[[Tensor], Tensor]
"""Probabilities (B, K) of pictures (B, C, H, W) in [0, 1]."""


class Prototypes:
    """CounterfactualProto (Van Looveren and Klaise 2019), one image at a time.

    Without the prediction loss (``c_init=0``), as alibi advises for black boxes: its gradient
    would be numerical and cost two evaluations for each pixel and step. It is asked about pictures
    in 8 bits, so that rounding the result changes nothing.

    Args:
        ask: the classifier.
        references: (N, C, H, W) in [0, 1], among which the prototypes are.
        theta: weight of the way to the prototype.
        beta: weight of the L1 distance.
        lr: step size at first.
        iterations: of the search, each of which asks once.

    Attributes:
        asked: pictures the classifier was asked about so far, the references among them.
    """

    def __init__(
        self,
        ask: Ask,
        references: Tensor,
        *,
        theta: float = 100.0,
        beta: float = 0.1,
        lr: float = 0.01,
        iterations: int = 200,
    ):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.compat.v1.disable_v2_behavior()
        from alibi.explainers import CounterfactualProto

        self._ask, self._shape = ask, tuple(references.shape[1:])
        self._wanted: tuple[int, float] | None = None
        self.asked = 0
        self._method = CounterfactualProto(
            self._predict,
            (1, references[0].numel()),
            use_kdtree=True,
            theta=theta,
            beta=beta,
            learning_rate_init=lr,
            c_init=0.0,
            c_steps=1,
            max_iterations=iterations,
            feature_range=(0.0, 1.0),
        )
        self._method.fit(references.flatten(1).numpy())

    def __call__(self, image: Tensor, target: int, confidence: float = 0.0) -> Tensor | None:
        """The counterfactual (1, C, H, W) of an image (1, C, H, W); None where none was found.

        Args:
            image: in [0, 1].
            target: q.
            confidence: that q is to have: below it alibi is told a probability of 0.
        """
        self._wanted = (target, confidence)
        pixels = image.flatten(1).numpy()
        found = self._method.explain(pixels, target_class=[target]).cf
        self._wanted = None
        return None if found is None else torch.from_numpy(found["X"]).view(image.shape)

    def _predict(self, pixels: Any) -> Any:
        images = round_to_8_bits(torch.as_tensor(pixels, dtype=torch.float32).clamp(0, 1))
        self.asked += len(images)
        seen = self._ask(images.view(-1, *self._shape)).numpy().copy()
        if self._wanted is not None:
            target, confidence = self._wanted
            seen[seen[:, target] < confidence, target] = 0
        return seen
