"""The quantity that heatmaps explain: how much likelier one class is than another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from lightning_ecinn.attribution.asked import Asked
from lightning_ecinn.attribution.inputs import checked_option, class_per_image, float_images
from lightning_ecinn.blackbox.black_box import BlackBox
from lightning_ecinn.ecinn.checks import finite
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.locks import lock_of
from lightning_ecinn.metrics.classification import difference
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.inputs import Classes

__all__ = ["Model", "PairScore", "pair_score", "posterior"]

Model = Explainer | BlackBox | nn.Module


class PairScore(nn.Module):
    r"""The pair score of a classifier.

    .. math:: F(x) = \log p(q|x) - \log p(p|x)

    For a flow F is z.(mu_q - mu_p) - (||mu_q||^2 - ||mu_p||^2) / 2, where ||z||^2 has cancelled;
    for an ordinary network it is the difference of two logits.

    Args:
        model: an `Explainer`, a `BlackBoxExplainer`, a `GenerativeClassifier`, a module that has
            one as ``classifier``, or any module from float images (B, C, H, W) in [0, 1] to logits
            (B, K).

    Raises:
        ValueError: for anything else.
    """

    def __init__(self, model: Model):
        super().__init__()
        inner = getattr(model, "classifier", None)
        network = inner if isinstance(inner, GenerativeClassifier) else model
        if isinstance(model, BlackBox):
            network = Asked(model)
        if not isinstance(network, nn.Module):
            raise ValueError(
                "model must be an Explainer, a GenerativeClassifier or a torch.nn.Module from "
                f"images to logits, got {type(model).__name__}."
            )
        self.network = network

    @property
    def class_names(self) -> Sequence[str] | None:
        """One name per class, where the network knows them."""
        names = getattr(self.network, "class_names", None)
        return tuple(names) if isinstance(names, list | tuple) else None

    @property
    def like(self) -> Tensor:
        """A tensor of the precision and on the device of the network."""
        tensors = chain(self.network.parameters(), self.network.buffers())
        return next((t for t in tensors if t.is_floating_point()), torch.empty(0))

    def pictures(self, images: Tensor) -> Tensor:
        """Float images (B, C, H, W) on the network's device, of uint8 or float ones; checked."""
        shape = getattr(self.network, "image_shape", None)
        return float_images(images, None if shape is None else tuple(shape), self.like)

    def logits(self, images: Tensor) -> Tensor:
        """Log p(y|x) up to one number per image, (B, K), of float images (B, C, H, W)."""
        if isinstance(self.network, GenerativeClassifier):
            return self.network.mixture.scores(self.network.encode(images)[0])
        logits = self.network(images)
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"The model must give logits (B, K), got {got} for {len(images)} images: wrap it "
                "in a module that returns them."
            )
        return logits

    def forward(self, images: Tensor, target: Tensor, source: Tensor) -> Tensor:
        """F, (B,), in nats, of float images (B, C, H, W) and classes q and p, (B,) each."""
        return difference(self.logits(images), target, source)

    @torch.no_grad()
    def all_logits(self, images: Tensor, chunk_size: int) -> Tensor:
        """:meth:`logits` of any number of images, at most chunk_size of them at once."""
        with _taking(images):
            logits = torch.cat([self.logits(chunk) for chunk in images.split(chunk_size)])
        if not logits.isfinite().all():
            raise ValueError(
                "The model's logits are not finite for these images: its weights have diverged, "
                "or its precision is too low; try float64."
            )
        return logits

    @contextmanager
    def evaluating(self, *, freeze: bool = True) -> Iterator[None]:
        """Evaluation mode in plain full precision; afterwards the network is as it was.

        Leaves Lightning's inference mode and automatic casting; the caller's global random state
        is never used.

        Args:
            freeze: whether gradients stop at the parameters.

        Other threads that want to do the same with the network wait.
        """
        with lock_of(self.network):
            yield from self._alone(freeze)

    def _alone(self, freeze: bool) -> Iterator[None]:
        tensors = [*self.network.parameters(), *self.network.buffers()]
        if any(tensor.is_inference() for tensor in tensors):
            raise ValueError(
                "The model was built or loaded inside torch.inference_mode, where nothing has "
                "gradients: build it outside."
            )
        modes = [(module, module.training) for module in self.network.modules()]
        flags = [(weight, weight.requires_grad) for weight in self.network.parameters()]
        no_casting = torch.autocast(self.like.device.type, enabled=False)
        # Leaving inference mode would switch gradients on.
        gradients = torch.is_grad_enabled()
        try:
            with torch.inference_mode(False), torch.set_grad_enabled(gradients), no_casting:
                self.network.eval()
                if freeze:
                    self.network.requires_grad_(False)
                yield
        finally:
            for module, mode in modes:
                module.training = mode
            for weight, flag in flags:
                weight.requires_grad_(flag)


@contextmanager
def _taking(images: Tensor) -> Iterator[None]:
    """Say of an ordinary network, whose images' shape nobody knows, that it can't take these."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(
            f"The model fails on images {tuple(images.shape)} of {images.dtype} "
            f"({' '.join(str(error).split())[:200]}): give images as it was trained on."
        ) from error


def pair_score(model: Model, images: Tensor, target: Classes, source: Classes) -> Tensor:
    """F(x) = log p(q|x) - log p(p|x), (B,), in nats, in evaluation mode.

    Differentiable, unless gradients are switched off.

    Args:
        model: as in :func:`attribute`.
        images: (B, C, H, W), uint8 or float in [0, 1].
        target: q, one class or (B,).
        source: p, one class or (B,).

    Raises:
        ValueError: for images or classes that the model can't have.
    """
    score = PairScore(model)
    with score.evaluating(freeze=False):
        pictures = score.pictures(images)
        with _taking(pictures):
            logits = score.logits(pictures)
        q, p = (
            class_per_image(classes, name, logits, score.class_names)
            for classes, name in ((target, "target"), (source, "source"))
        )
        return finite(difference(logits, q, p), "pair scores")


def posterior(model: Model, images: Tensor, *, chunk_size: int = 64) -> Tensor:
    """p(y|x), (B, K), of images (B, C, H, W), uint8 or float in [0, 1]; without gradients.

    Args:
        model: as in :func:`attribute`.
        images: the pictures.
        chunk_size: how many go through the model at once.

    Raises:
        ValueError: for images that the model can't have.
    """
    score, chunk_size = PairScore(model), checked_option("chunk_size", chunk_size)
    with score.evaluating():
        return score.all_logits(score.pictures(images), chunk_size).softmax(1)
