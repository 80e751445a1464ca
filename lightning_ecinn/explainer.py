"""The public face: explanations from a trained classifier or a checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_ecinn.checkpoints import load_classifier
from lightning_ecinn.classifier import GenerativeClassifier
from lightning_ecinn.counterfactuals import (
    PAPER_STEP,
    Counterfactual,
    alpha_convincing,
    alpha_tipping,
    class_direction,
    explainable_pairs,
    leads_to_target,
)
from lightning_ecinn.preprocessing import check_images

__all__ = ["Explainer"]

Step = Literal["tipping", "convincing"]

_HALF_GREY_LEVEL = 0.5 / 255


class Explainer:
    """Counterfactual explanations of a generative classifier.

    Args:
        classifier: the trained classifier, with its class means; set to evaluation mode.
        step: (offset, slope) of the convincing step alpha_1 = offset + slope alpha_0; the paper's
            (4/5, 1/2) by default.
        chunk_size: pictures that go through the network at once; bounds the memory.

    Example:
        >>> explainer = Explainer.from_checkpoint("last.ckpt")  # doctest: +SKIP
        >>> cf = explainer.explain(images, target=3)  # doctest: +SKIP
        >>> cf.image, cf.alpha, cf.heatmap  # doctest: +SKIP
    """

    def __init__(
        self,
        classifier: GenerativeClassifier,
        *,
        step: tuple[float, float] = PAPER_STEP,
        chunk_size: int = 256,
    ):
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {chunk_size}.")
        self.classifier = classifier.eval()
        self.step = step
        self.chunk_size = chunk_size
        self._precision_checked = False
        self._weights: list[Tensor] = []
        self._folded: GenerativeClassifier | None = None
        self._folded_state: tuple[Any, ...] = ()

    @classmethod
    def from_checkpoint(
        cls,
        path: str | PathLike[str],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        **kwargs: Any,
    ) -> Explainer:
        """Load a checkpoint of this project; it is read with ``weights_only=True``.

        Args:
            path: a ``.ckpt`` file written by ``fit``.
            device: where to compute.
            dtype: ``torch.float32`` or ``torch.float64``; double precision inverts any flow.
            **kwargs: passed to :class:`Explainer`.
        """
        return cls(load_classifier(path).to(device=device, dtype=dtype), **kwargs)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.classifier.num_classes

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return self.classifier.image_shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class."""
        return self.classifier.class_names

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the computation."""
        return self.classifier.class_means.dtype

    @property
    def device(self) -> torch.device:
        """Where the computation happens."""
        return self.classifier.class_means.device

    @torch.no_grad()
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Latents z (B, D) and log abs det dz/dx' (B,) of images (B, C, H, W).

        x' = (255 x + 1/2) / 256 is the grey level in [0, 1]; log_det is in nats.
        """
        classifier = self._network()
        parts = [classifier.encode(chunk) for chunk in self._chunks(self._images(images))]
        return torch.cat([z for z, _ in parts]), torch.cat([log_det for _, log_det in parts])

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of latents (B, D)."""
        num_dims = self.classifier.num_dims
        if z.ndim != 2 or z.shape[1] != num_dims:
            raise ValueError(f"Latents must be (B, {num_dims}), got {tuple(z.shape)}.")
        return self._decode(self._network(), z.to(self.device, self.dtype))

    @torch.no_grad()
    def posterior(self, images: Tensor) -> Tensor:
        """p(y|x) of images (B, C, H, W) under a uniform prior (Eq. 2), (B, K)."""
        return self.classifier.mixture.log_posterior(self.encode(images)[0]).exp()

    @torch.no_grad()
    def log_prob(self, images: Tensor) -> Tensor:
        """Log p(x') of images (B, C, H, W), (B,), in nats; x' as in :meth:`encode`."""
        z, log_det = self.encode(images)
        return self.classifier.mixture.log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, labels: Tensor, temperature: float = 1.0) -> Tensor:
        """Images (B, C, H, W) of the given classes (B,)."""
        if not temperature >= 0:
            raise ValueError(f"temperature must be 0 or larger, got {temperature}.")
        labels = self._classes(labels, "labels").reshape(-1)
        chunks = self._chunks(labels)
        classifier = self._network()
        return torch.cat([classifier.sample(k, temperature=temperature) for k in chunks])

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images after encoding and decoding: equal up to the precision of the inverse."""
        return self.decode(self.encode(images)[0])

    def explain(
        self,
        images: Tensor,
        target: int | Tensor,
        alpha: Step | float | Tensor = "convincing",
        *,
        undefined: Literal["raise", "keep"] = "raise",
    ) -> Counterfactual:
        """Counterfactual images: one forward pass, one inverse pass (Eq. 3).

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1].
            target: the class asked for: one for all, one per image (B,), or several per image
                (B, T), for which the images are encoded only once.
            alpha: "tipping" for alpha_0, where source and target are equally likely;
                "convincing" for alpha_1; or a step length of one's own, a number or a tensor
                shaped like target.
            undefined: what to do about a pair of classes between which there is no step, because
                one has no mean or their difference does not lead towards the target: an error,
                or keep the image as it is, with ``defined`` False.

        Returns:
            The counterfactuals; an image that already is the target comes back as itself with
            alpha 0.

        Raises:
            ValueError: for images of the wrong shape, type or range, a target that is no class,
                or (unless kept) a pair of classes between which there is no step.
        """
        return self.explain_steps(images, target, [alpha], undefined=undefined)[0]

    @torch.no_grad()
    def explain_steps(
        self,
        images: Tensor,
        target: int | Tensor,
        alphas: Sequence[Step | float | Tensor] = ("tipping", "convincing"),
        *,
        undefined: Literal["raise", "keep"] = "raise",
    ) -> list[Counterfactual]:
        """Counterfactuals of the same images and targets at several steps, encoded only once.

        Args:
            images: as for :meth:`explain`, like the rest.
            target: the class asked for.
            alphas: the steps.
            undefined: what to do about a pair of classes between which there is no step.

        Returns:
            One for each step.
        """
        if not isinstance(alphas, list | tuple) or not alphas:
            raise ValueError(f"alphas must be a list of at least one step, got {alphas!r}.")
        images = self._images(images)
        target = self._classes(target, "target")
        if target.ndim > 2 or (target.ndim and len(target) != len(images)):
            raise ValueError(
                f"target must be one class, ({len(images)},) or ({len(images)}, T) for "
                f"{len(images)} images, got shape {tuple(target.shape)}."
            )
        if undefined not in ("raise", "keep"):
            raise ValueError(f'undefined must be "raise" or "keep", got {undefined!r}.')
        many = target if target.ndim == 2 else target.expand(len(images)).unsqueeze(1)
        results = self._explain(images, many, alphas, undefined)
        if target.ndim == 2:
            return results
        return [
            Counterfactual(**{name: value.squeeze(1) for name, value in vars(result).items()})
            for result in results
        ]

    def explainable_pairs(self) -> Tensor:
        """Which (source, target) pairs have a counterfactual, bool (K, K)."""
        model = self.classifier
        return explainable_pairs(
            model.mixture.component_means, model.class_means, model.class_counts
        )

    def _explain(
        self,
        images: Tensor,
        target: Tensor,
        alphas: Sequence[Step | float | Tensor],
        undefined: Literal["raise", "keep"],
    ) -> list[Counterfactual]:
        mixture, inputs = self.classifier.mixture, self._as_float(images)
        network = self._network()
        z = self._latents(network, images)
        self._check_precision(network, inputs, z)
        source = mixture.log_posterior(z).argmax(1, keepdim=True).expand_as(target)
        same = source == target
        direction = class_direction(self.classifier.class_means, source, target)
        defined = same | self._leads_there(source, target, direction)
        if undefined == "raise" and not defined.all():
            self._refuse(source[~defined], target[~defined])
        mu = mixture.component_means
        alpha_0 = alpha_tipping(z.unsqueeze(1), direction, mu[source], mu[target])
        steps = torch.stack([self._step(alpha, alpha_0) for alpha in alphas])
        steps = steps.masked_fill(same | ~defined, 0)
        latents = torch.addcmul(z.unsqueeze(1), steps.unsqueeze(-1), direction)
        inputs = inputs.unsqueeze(1).expand(-1, target.shape[1], -1, -1, -1)
        pictures = self._decoded(network, latents, inputs, moved=steps != 0)
        posteriors = mixture.log_posterior(latents.flatten(0, 2)).exp().unflatten(0, steps.shape)
        return [
            Counterfactual(inputs, image, source, target, step, posterior, latent, defined)
            for image, step, posterior, latent in zip(
                pictures, steps, posteriors, latents, strict=True
            )
        ]

    def _decoded(
        self, network: GenerativeClassifier, latents: Tensor, inputs: Tensor, moved: Tensor
    ) -> Tensor:
        """Pictures (S, B, T, C, H, W) of the latents that moved; the others are their inputs."""
        if moved.all():
            return self._decode(network, latents.flatten(0, 2)).unflatten(0, moved.shape)
        pictures = inputs.expand(len(moved), *inputs.shape).clone()
        if moved.any():
            pictures[moved] = self._decode(network, latents[moved])
        return pictures

    def _step(self, alpha: Step | float | Tensor, alpha_0: Tensor) -> Tensor:
        """The step lengths (B, T) that are meant, for tipping points (B, T)."""
        if isinstance(alpha, str):
            if alpha not in ("tipping", "convincing"):
                raise ValueError(
                    f'alpha must be "tipping", "convincing" or a number, got "{alpha}".'
                )
            return alpha_0 if alpha == "tipping" else alpha_convincing(alpha_0, self.step)
        step = torch.as_tensor(alpha, dtype=self.dtype, device=self.device)
        if not step.isfinite().all():
            raise ValueError(f"alpha must be finite, got {alpha}.")
        if step.ndim == 1 and alpha_0.shape[1] == 1:
            step = step.unsqueeze(1)
        if step.ndim and step.shape != alpha_0.shape:
            raise ValueError(
                f"alpha must be one number or shaped like the targets {tuple(alpha_0.shape)}, got "
                f"shape {tuple(step.shape)}."
            )
        return step.expand_as(alpha_0).clone()

    def _leads_there(self, source: Tensor, target: Tensor, direction: Tensor) -> Tensor:
        """Whether there is a step from p to q: as `explainable_pairs`, for these pairs only."""
        mu, counts = self.classifier.mixture.component_means, self.classifier.class_counts
        has_means = (counts[source] > 0) & (counts[target] > 0)
        return has_means & leads_to_target(mu[source], mu[target], direction)

    def _refuse(self, source: Tensor, target: Tensor) -> None:
        """Say why there is no step between classes, for pairs between which there is none."""
        counts = self.classifier.class_counts
        if not counts.any():
            raise ValueError(
                "This classifier has no class means yet: they are built after `fit`, so explain "
                "with a checkpoint of a finished run."
            )
        missing = [k for k in torch.cat((source, target)).unique().tolist() if counts[k] == 0]
        if missing:
            names = ", ".join(self.class_names[k] for k in missing)
            raise ValueError(
                f"No training image was classified as {names}, so there is no class mean to step "
                "from or to: train longer, or explain other classes."
            )
        raise ValueError(
            f"There is no step from class {self.class_names[source[0]]} to "
            f"{self.class_names[target[0]]}: the difference of their class means does not lead "
            "towards the target. The classifier is hardly trained: train longer."
        )

    def _check_precision(self, network: GenerativeClassifier, inputs: Tensor, z: Tensor) -> None:
        """Once per explainer: can this precision invert this flow?"""
        if self._precision_checked:
            return
        self._precision_checked = True
        few = min(8, self.chunk_size)
        # Without clamping, which would hide errors at black and white pixels.
        inverse = self._decode(network, z[:few], clamp=False)
        error = (inverse - inputs[:few]).abs().max().item()
        if not error <= _HALF_GREY_LEVEL:
            remedy = "train longer"
            if self.dtype != torch.float64:
                remedy = f"use dtype=torch.float64 or {remedy}"
            warnings.warn(
                f"Reconstructing the first images is off by up to {error:.2g} (in units of the "
                f"range [0, 1]) in {self.dtype}: counterfactuals are off by as much. The inverse "
                "of a flow that is hardly trained magnifies rounding errors (the paper's initial "
                f"scales alone by 0.8^-48 = 45,000): {remedy}.",
                stacklevel=6,  # the caller of explain, past the decorator of no_grad
            )

    def _network(self) -> GenerativeClassifier:
        """The classifier with its flow folded: anew where the weights have changed since."""
        if self._folded is None or self._state() != self._folded_state:
            flow = self.classifier.flow
            weights = [*flow.parameters(), *flow.buffers()]
            self._weights = [w for w in weights if not w.is_inference()]  # those cannot change
            self._folded, self._folded_state = self.classifier.folded(), self._state()
        return self._folded

    def _state(self) -> tuple[Any, ...]:
        """Differs where the classifier has been moved or its weights have been changed in place."""
        return self.dtype, self.device, sum([w._version for w in self._weights])

    def _latents(self, network: GenerativeClassifier, images: Tensor) -> Tensor:
        """Latents (B, D) of checked images, without the log-determinant."""
        flow, preprocessing = network.flow, network.preprocessing
        return torch.cat([flow(preprocessing(k), jac=False)[0] for k in self._chunks(images)])

    def _decode(self, network: GenerativeClassifier, z: Tensor, clamp: bool = True) -> Tensor:
        return torch.cat([network.decode(k, clamp=clamp) for k in self._chunks(z)])

    def _images(self, images: Tensor) -> Tensor:
        """Images on the device, checked: uint8, or float in [0, 1]."""
        check_images(images, self.image_shape)
        if images.dtype == torch.uint8:
            return images.to(self.device)
        return images.to(self.device, self.dtype)

    def _as_float(self, images: Tensor) -> Tensor:
        return images.to(self.dtype) / 255 if images.dtype == torch.uint8 else images

    def _classes(self, classes: int | Tensor, name: str) -> Tensor:
        classes = torch.as_tensor(classes, device=self.device)
        if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
            raise ValueError(f"{name} must be whole numbers, got {classes.dtype}.")
        if classes.numel() and not (classes.min() >= 0 and classes.max() < self.num_classes):
            raise ValueError(
                f"{name} must be a class from 0 to {self.num_classes - 1}, got "
                f"{classes.min().item()} to {classes.max().item()}."
            )
        return classes.long()

    def _chunks(self, tensor: Tensor) -> Iterator[Tensor]:
        return iter(tensor.split(self.chunk_size))
