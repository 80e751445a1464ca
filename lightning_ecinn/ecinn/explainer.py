"""The public face: explanations from a trained classifier or a checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_ecinn.ecinn.certificates import (
    HALF_GREY_LEVEL,
    Certificate,
    in_rows,
    log_prob_quantile,
    what_fails,
)
from lightning_ecinn.ecinn.counterfactuals import (
    PAPER_STEP,
    Counterfactual,
    Step,
    alpha_convincing,
    alpha_star,
    alpha_tipping,
    check_path,
    class_direction,
    explainable_pairs,
    leads_to_target,
    smallest_passing_step,
    truncated_direction,
)
from lightning_ecinn.models.checkpoints import load_classifier
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.preprocessing import check_images, round_to_8_bits

__all__ = ["Explainer"]

_BEFORE_EVERY_CLASS = ("star", "certified")

_MARGIN = 1e-3
"""Share of 1 - confidence asked for on top: rounding errors differ from batch to batch."""


class Explainer:
    """Counterfactual explanations of a generative classifier.

    Args:
        classifier: the trained classifier, with its class means; set to evaluation mode.
        step: (offset, slope) of the convincing step alpha_1 = offset + slope alpha_0; the paper's
            (4/5, 1/2) by default.
        truncation: psi from 0 to 1, how much of the image's distance from its class mean is kept
            at alpha = 1: its direction is Delta_pq - (1 - psi) (z - mu-bar_p); 1 is the paper's.
        confidence: the posterior of the target that the certified step reaches.
        chunk_size: pictures that go through the network at once; bounds the memory.

    Example:
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist")  # doctest: +SKIP
        >>> cf = explainer.explain(images, target=3)  # doctest: +SKIP
        >>> cf.image, cf.alpha, cf.heatmap  # doctest: +SKIP
        >>> cf.certificate.holds, cf.certificate.reason  # doctest: +SKIP
    """

    def __init__(
        self,
        classifier: GenerativeClassifier,
        *,
        step: tuple[float, float] = PAPER_STEP,
        truncation: float = 1.0,
        confidence: float = 0.9,
        chunk_size: int = 256,
    ):
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {chunk_size}.")
        check_path(truncation, confidence)
        self.classifier = classifier.eval()
        self.step = step
        self.truncation = truncation
        self.confidence = confidence
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
            path: a ``.ckpt`` file written by ``fit``, or the name of a model that ships with the
                package: "pretrained:mnist", "pretrained:fake_mnist", "pretrained:mnist_small".
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

        Only the certified step takes more, at most 16 of each: ``forward_evaluations`` and
        ``inverse_evaluations`` say how many.

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1].
            target: the class asked for: one for all, one per image (B,), or several per image
                (B, T), for which the images are encoded only once.
            alpha: "tipping" for alpha_0, where source and target are equally likely;
                "convincing" for alpha_1; "star" for alpha_star, the smallest step that puts the
                target before every class; "certified" for the smallest step from alpha_star up
                whose picture in 8 bits is classified as the target with at least `confidence`
                (up to the tolerance of a bisection, and if the posterior rises along the path);
                or a step length of one's own, a number or a tensor shaped like target.
            undefined: what to do where there is no step: an error, or keep the image as it is,
                with ``defined`` False. Either a class has no mean, or the difference of the means
                does not lead towards the target, or there is no alpha_star.

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
        return [_of_one_target(result) for result in results]

    def explainable_pairs(self) -> Tensor:
        """Which (source, target) pairs have a counterfactual, bool (K, K), without truncation."""
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
        z = z.unsqueeze(1)
        direction = self._direction(z, source, target)
        steps, defined = self._steps(alphas, z, source, target, direction, undefined)
        latents = torch.addcmul(z, steps.unsqueeze(-1), direction)
        inputs = inputs.unsqueeze(1).expand(-1, target.shape[1], -1, -1, -1)
        moved = steps != 0
        moved[[_is_one_of(alpha, "certified") for alpha in alphas]] = False
        pictures = self._decoded(network, latents, inputs, moved)
        forward, inverse = torch.ones_like(steps, dtype=torch.long), moved.long()
        for k, alpha in enumerate(alphas):
            if not _is_one_of(alpha, "certified"):
                continue
            asked = defined[k] & (source != target)
            if asked.any():
                z_asked, towards = z.expand_as(direction)[asked], direction[asked]
                found = self._search(network, z_asked, towards, target[asked], steps[k, asked])
                steps[k, asked], pictures[k, asked], inverse[k, asked] = found
                forward[k] += inverse[k]
                latents[k] = torch.addcmul(z, steps[k].unsqueeze(-1), direction)
        posteriors = mixture.log_posterior(latents.flatten(0, 2)).exp().unflatten(0, steps.shape)
        return [
            Counterfactual(
                input=inputs,
                image=pictures[k],
                source=source,
                target=target,
                alpha=steps[k],
                posterior=posteriors[k],
                latent=latents[k],
                defined=defined[k],
                forward_evaluations=forward[k],
                inverse_evaluations=inverse[k],
                _certify=partial(
                    self._certify,
                    self._folded_state,
                    _is_one_of(alpha, *_BEFORE_EVERY_CLASS),
                    self.confidence if _is_one_of(alpha, "certified") else None,
                ),
            )
            for k, alpha in enumerate(alphas)
        ]

    def _direction(self, z: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """The direction (B, T, D) of latents (B, 1, D)."""
        means = self.classifier.class_means
        direction = class_direction(means, source, target)
        return truncated_direction(direction, z, means[source], self.truncation)

    def _steps(
        self,
        alphas: Sequence[Step | float | Tensor],
        z: Tensor,
        source: Tensor,
        target: Tensor,
        direction: Tensor,
        undefined: str,
    ) -> tuple[Tensor, Tensor]:
        """Step lengths and whether there are such steps, both (S, B, T).

        A certified step begins at alpha_star.
        """
        mu, same = self.classifier.mixture.component_means, source == target
        defined = same | self._leads_there(source, target, direction)
        if undefined == "raise" and not defined.all():
            self._refuse(source[~defined], target[~defined])
        alpha_0 = alpha_tipping(z, direction, mu[source], mu[target])
        steps, exist = [], []
        for alpha in alphas:
            if _is_one_of(alpha, *_BEFORE_EVERY_CLASS):
                step, exists = alpha_star(z, direction, mu, target)
                exists = same | (defined & exists)
                if undefined == "raise" and not exists.all():
                    self._refuse_star(source, target, exists)
            else:
                step, exists = self._step(alpha, alpha_0), defined
            steps.append(step.masked_fill(same | ~exists, 0))
            exist.append(exists)
        return torch.stack(steps), torch.stack(exist)

    def _search(
        self,
        network: GenerativeClassifier,
        z: Tensor,
        direction: Tensor,
        target: Tensor,
        start: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Certified steps (N,) from `start` (N,) up, their pictures, and how many were tried."""
        confidence = self.confidence + _MARGIN * (1 - self.confidence)

        def attempt(alpha: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
            latents = torch.addcmul(z[index], alpha.unsqueeze(1), direction[index])
            pictures = self._decode(network, latents)
            seen = self._latents(network, round_to_8_bits(pictures))
            posterior, q = network.mixture.log_posterior(seen).exp(), target[index].unsqueeze(1)
            confident = posterior.gather(1, q).squeeze(1) >= confidence
            return pictures, confident & (posterior.argmax(1) == target[index])

        return smallest_passing_step(attempt, start)

    @torch.no_grad()
    def _certify(
        self,
        state: tuple[Any, ...],
        before_every_class: bool,
        confidence: float | None,
        cf: Counterfactual,
    ) -> Certificate:
        """The certificate of counterfactuals that were made when the weights were at `state`."""
        if self._state() != state:
            raise ValueError(
                "The classifier has changed since this counterfactual was made, so its "
                "certificate can't be computed any more: explain again."
            )
        mixture, shape = self.classifier.mixture, cf.target.shape
        inputs = cf.input[:, 0] if cf.target.ndim == 2 else cf.input  # once for all targets
        z, log_det = self.encode(inputs)
        inverse = self._decode(self._network(), z, clamp=False)
        per_image = ((inverse - inputs).abs().flatten(1).amax(1), mixture.log_prob(z) + log_det)
        error, before = (v.view(-1, *[1] * (len(shape) - 1)).expand(shape) for v in per_image)
        z, log_det = self.encode(cf.image_8bit.flatten(0, len(shape) - 1))
        after = (mixture.log_prob(z) + log_det).view(shape)
        log_posterior = mixture.log_posterior(z)
        p, q = cf.source.reshape(-1, 1), cf.target.reshape(-1, 1)
        gap = log_posterior.gather(1, p) - log_posterior.gather(1, q)
        predicted = log_posterior.argmax(1).view(shape)
        precision = str(self.dtype).removeprefix("torch.")
        reasons = what_fails(
            source=p.flatten(),
            target=q.flatten(),
            defined=cf.defined.flatten(),
            predicted=predicted.flatten(),
            posterior=log_posterior.exp(),
            error=error.flatten(),
            class_names=self.class_names,
            precision=precision,
            before_every_class=before_every_class,
            confidence=confidence,
        )
        return Certificate(
            predicted=predicted,
            posterior=log_posterior.exp().view(*shape, -1),
            tipping_gap=gap.abs().view(shape),
            third_class=(predicted != cf.source) & (predicted != cf.target),
            log_prob_before=before,
            log_prob_after=after,
            quantile_before=self._quantile(before),
            quantile_after=self._quantile(after),
            reconstruction_error=error,
            precision=precision,
            forward_evaluations=cf.forward_evaluations,
            inverse_evaluations=cf.inverse_evaluations,
            holds=torch.tensor([not reason for reason in reasons], device=z.device).view(shape),
            reason=in_rows(reasons, shape),
        )

    def _quantile(self, log_prob: Tensor) -> Tensor | None:
        """Rank among the training images, where the checkpoint has their likelihoods."""
        if not self.classifier.has_log_prob_quantiles:
            return None
        return log_prob_quantile(log_prob, self.classifier.log_prob_quantiles)

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
                    'alpha must be "tipping", "convincing", "star", "certified" or a number, got '
                    f'"{alpha}".'
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

    def _refuse_star(self, source: Tensor, target: Tensor, exists: Tensor) -> None:
        """Say for which images (B, T) no step puts the target before every class."""
        image, t = (~exists).nonzero()[0].tolist()
        p, q = (self.class_names[k[image, t]] for k in (source, target))
        raise ValueError(
            f"No step along the direction from class {p} to {q} puts {q} before every class for "
            f"image {image} ({int((~exists).sum())} of {exists.numel()} counterfactuals): take "
            'another step, or keep these inputs with undefined="keep".'
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
        if not error <= HALF_GREY_LEVEL:
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
            weights = [*self.classifier.parameters(), *self.classifier.buffers()]
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


def _is_one_of(alpha: Step | float | Tensor, *names: str) -> bool:
    return isinstance(alpha, str) and alpha in names


def _of_one_target(cf: Counterfactual) -> Counterfactual:
    """Counterfactuals (B, 1, ...) as (B, ...)."""
    tensors: dict[str, Any] = {
        name: value.squeeze(1) for name, value in vars(cf).items() if isinstance(value, Tensor)
    }
    return replace(cf, **tensors)
