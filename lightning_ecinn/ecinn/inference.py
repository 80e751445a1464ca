"""A trained classifier at work: folded, a few pictures at a time, in a precision that suffices."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.ecinn.certificates import HALF_GREY_LEVEL
from lightning_ecinn.models.classifier import GenerativeClassifier

__all__ = ["Inference", "Session"]


@dataclass(frozen=True)
class Session:
    """A classifier with the weights of one moment, its flow folded, a few pictures at a time.

    Nothing here switches gradients off: callers do.

    Attributes:
        network: the classifier, its flow folded.
        chunk_size: pictures that go through it at once.
        state: of the classifier at that moment.
    """

    network: GenerativeClassifier
    chunk_size: int
    state: tuple[Any, ...]

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, D) and log-determinants (B,) of checked images."""
        parts = [self.network.encode(chunk) for chunk in images.split(self.chunk_size)]
        return torch.cat([z for z, _ in parts]), torch.cat([log_det for _, log_det in parts])

    def latents(self, images: Tensor) -> Tensor:
        """Latents (B, D) of checked images, without the log-determinant, which takes longer."""
        flow, preprocessing = self.network.flow, self.network.preprocessing
        chunks = images.split(self.chunk_size)
        return torch.cat([flow(preprocessing(chunk), jac=False)[0] for chunk in chunks])

    def decode(self, z: Tensor, *, clamp: bool = True) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] of latents (B, D); without clamp they may leave it."""
        chunks = z.split(self.chunk_size)
        return torch.cat([self.network.decode(chunk, clamp=clamp) for chunk in chunks])

    def sample(self, labels: Tensor, temperature: float) -> Tensor:
        """Pictures (B, C, H, W) of classes (B,)."""
        chunks = labels.split(self.chunk_size)
        return torch.cat([self.network.sample(k, temperature=temperature) for k in chunks])


class Inference:
    """A classifier at work: gives sessions with its present weights.

    The flow is folded when it is first needed, and again after weights have been changed in place
    or moved.

    Args:
        classifier: set to evaluation mode.
        chunk_size: pictures that go through the network at once; bounds the memory.
    """

    def __init__(self, classifier: GenerativeClassifier, chunk_size: int = 256):
        _check_dtype(classifier.class_means.dtype)
        self.classifier = classifier.eval()
        self.chunk_size = _checked_size(chunk_size)
        self._precision_checked = False
        self._weights: list[Tensor] = []
        self._folded: GenerativeClassifier | None = None
        self._folded_state: tuple[Any, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Without what is folded, which can't be pickled and is folded again when needed."""
        return {**vars(self), "_weights": [], "_folded": None, "_folded_state": ()}

    def in_chunks_of(self, chunk_size: int) -> Inference:
        """The same, what is folded included, with chunks of another size."""
        other = Inference.__new__(Inference)
        vars(other).update(vars(self))
        other.chunk_size = _checked_size(chunk_size)
        return other

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the computation."""
        return self.classifier.class_means.dtype

    @property
    def device(self) -> torch.device:
        """Where the computation happens."""
        return self.classifier.class_means.device

    def session(self) -> Session:
        """With the present weights: folded anew where they have changed since."""
        if self._folded is None or self._state() != self._folded_state:
            weights = [*self.classifier.parameters(), *self.classifier.buffers()]
            self._weights = [w for w in weights if not w.is_inference()]  # those cannot change
            self._folded, self._folded_state = self.classifier.folded(), self._state()
        return Session(self._folded, self.chunk_size, self._folded_state)

    def _state(self) -> tuple[Any, ...]:
        """Differs where the classifier has been moved or its weights have been changed in place."""
        return self.dtype, self.device, sum([w._version for w in self._weights])

    def check_precision(
        self, session: Session, images: Tensor, z: Tensor, *, stacklevel: int = 2
    ) -> None:
        """Warn, the first time, where this precision can't invert this flow.

        Args:
            session: with the present weights.
            images: (B, C, H, W), float; the first few are looked at.
            z: their latents (B, D).
            stacklevel: of the warning.
        """
        if self._precision_checked:
            return
        self._precision_checked = True
        few = min(8, self.chunk_size)
        # Without clamping, which would hide errors at black and white pixels.
        error = (session.decode(z[:few], clamp=False) - images[:few]).abs().max().item()
        if not error <= HALF_GREY_LEVEL:
            remedy = "train longer"
            if self.dtype != torch.float64:
                remedy = f"use dtype=torch.float64 or {remedy}"
            warnings.warn(
                f"Reconstructing the first images is off by up to {error:.2g} (in units of the "
                f"range [0, 1]) in {self.dtype}: counterfactuals are off by as much. The inverse "
                "of a flow that is hardly trained magnifies rounding errors (the paper's initial "
                f"scales alone by 0.8^-48 = 45,000): {remedy}.",
                stacklevel=stacklevel,
            )


def _check_dtype(dtype: torch.dtype) -> None:
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"An invertible network can't be computed in {dtype}: give torch.float32 or "
            "torch.float64."
        )


def _checked_size(chunk_size: int) -> int:
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}.")
    return chunk_size
