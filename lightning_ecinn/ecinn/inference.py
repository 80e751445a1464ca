"""A trained classifier at work: folded, a few pictures at a time, in a precision that suffices."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.ecinn.certificates import HALF_GREY_LEVEL
from lightning_ecinn.ecinn.checks import check_dtype, check_weights, finite
from lightning_ecinn.ecinn.locks import lock_of
from lightning_ecinn.ecinn.weights import Weights
from lightning_ecinn.flows.settings import is_whole
from lightning_ecinn.models.classifier import GenerativeClassifier

__all__ = ["Inference", "Session"]


@dataclass(frozen=True)
class Session:
    """A classifier with the weights of one moment, its flow folded, a few pictures at a time.

    Nothing here switches gradients off: callers do. What it gives is finite, or a ValueError.

    Attributes:
        network: the classifier, its flow folded.
        chunk_size: pictures that go through it at once.
        state: of the classifier at that moment; equals no other moment's if weights differ.
    """

    network: GenerativeClassifier
    chunk_size: int
    state: object

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, D) and log-determinants (B,) of checked images."""
        parts = [self.network.encode(chunk) for chunk in images.split(self.chunk_size)]
        z, log_det = (torch.cat(part) for part in zip(*parts, strict=True))
        return finite(z, "latents"), finite(log_det, "log-determinants")

    def latents(self, images: Tensor) -> Tensor:
        """Latents (B, D) of checked images, without the log-determinant, which takes longer."""
        flow, preprocessing = self.network.flow, self.network.preprocessing
        chunks = images.split(self.chunk_size)
        z = torch.cat([flow(preprocessing(chunk), jac=False)[0] for chunk in chunks])
        return finite(z, "latents")

    def decode(self, z: Tensor, *, clamp: bool = True) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] of latents (B, D); without clamp they may leave it."""
        chunks = z.split(self.chunk_size)
        pictures = torch.cat([self.network.decode(chunk, clamp=clamp) for chunk in chunks])
        return finite(pictures, "pictures")

    def sample(self, labels: Tensor, temperature: float) -> Tensor:
        """Pictures (B, C, H, W) of classes (B,)."""
        chunks = labels.split(self.chunk_size)
        drawn = [self.network.sample(k, temperature=temperature) for k in chunks]
        return finite(torch.cat(drawn), "pictures")


@dataclass(frozen=True)
class _Folded:
    """A classifier with its flow folded, what it was folded from, and a name for that moment."""

    network: GenerativeClassifier
    weights: Weights
    state: object = field(default_factory=object)


class Inference:
    """A classifier at work: gives sessions with its present weights.

    The flow is folded when it is first needed, and again after weights have changed, as far as
    `Weights` notices. Several threads may use it.

    Args:
        classifier: set to evaluation mode.
        chunk_size: pictures that go through the network at once; bounds the memory.
    """

    def __init__(self, classifier: GenerativeClassifier, chunk_size: int = 256):
        if not isinstance(classifier, GenerativeClassifier):
            raise ValueError(
                "An explainer needs a GenerativeClassifier, got "
                f"{type(classifier).__name__}: give the module's, module.classifier, or use "
                "Explainer.from_checkpoint."
            )
        check_dtype(classifier.class_means.dtype)
        self.classifier = classifier.eval()
        self.chunk_size = _checked_size(chunk_size)
        self._precision_checked: torch.dtype | None = None
        self._folded: _Folded | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what is folded, which can't be pickled and is folded again when needed."""
        return {**vars(self), "_folded": None}

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
        """With the present weights: folded anew where they have changed since.

        Raises:
            ValueError: the weights can't be computed with.
        """
        folded = self._present()
        if folded is None:
            with lock_of(self):
                folded = self._present() or self._fold()  # unless another thread just has
        return Session(folded.network, self.chunk_size, folded.state)

    def refresh(self) -> None:
        """Fold anew when it is next needed."""
        self._folded = None

    def _present(self) -> _Folded | None:
        """What is folded, if it is of the present weights."""
        folded = self._folded
        return folded if folded is not None and folded.weights.unchanged() else None

    def _fold(self) -> _Folded:
        check_weights(self.classifier)
        weights = Weights(self.classifier)  # before they are read: a change meanwhile is noticed
        self._folded = folded = _Folded(self.classifier.folded(), weights)
        return folded

    def check_precision(
        self, session: Session, images: Tensor, z: Tensor, *, stacklevel: int = 2
    ) -> None:
        """Warn, the first time in a precision, where this precision can't invert this flow.

        Args:
            session: with the present weights.
            images: (B, C, H, W), float; the first few are looked at.
            z: their latents (B, D).
            stacklevel: of the warning.
        """
        if self._precision_checked == self.dtype:
            return
        self._precision_checked = self.dtype
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


def _checked_size(chunk_size: int) -> int:
    if not is_whole(chunk_size) or chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size!r}: give a whole number.")
    return int(chunk_size)
