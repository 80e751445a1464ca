"""The public face: explanations from a trained classifier or a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from os import PathLike
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_ecinn.ecinn.checks import check_dtype, checked_latents, finite
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.inference import Inference
from lightning_ecinn.ecinn.loading import loaded
from lightning_ecinn.ecinn.making import make_counterfactuals
from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.ecinn.steps import Alpha, explainable_pairs
from lightning_ecinn.ecinn.targets import checked_targets, in_columns, of_one_target
from lightning_ecinn.flows.settings import check_names, is_number
from lightning_ecinn.models.checkpoints import read_checkpoint
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.inputs import Classes, checked_classes, checked_images
from lightning_ecinn.pictures.convert import Pictures, as_images

__all__ = ["Explainer"]


class Explainer:
    """Counterfactual explanations of a generative classifier.

    Args:
        classifier: the trained classifier, with its class means; set to evaluation mode.
        chunk_size: pictures that go through the network at once; bounds the memory.
        crop: whether pictures of another shape are cut to their central square, or squeezed.
        **path: fields of `PathSettings`: convincing_step, truncation, confidence.

    It follows its classifier: weights that are trained, loaded, exchanged, averaged or moved are
    seen at the next call. Only where single values are written past autograd (``w.data[0] = 1``)
    it must be told, by :meth:`refresh`. It can be pickled, copied and used by several threads.

    Raises:
        TypeError: there is no setting of a name.
        ValueError: for settings that are none, and a classifier that is none or in half precision.

    Example:
        >>> from lightning_ecinn import MNIST
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> images, labels, _ = MNIST(source="sample").dataset("test")[torch.arange(4)]
        >>> cf = explainer.explain(images, target=3)
        >>> cf.source.tolist(), [f"{alpha:.1f}" for alpha in cf.alpha]
        ([7, 2, 1, 0], ['1.0', '1.1', '1.0', '1.0'])
        >>> cf.certificate.holds
        tensor([True, True, True, True])
    """

    def __init__(
        self,
        classifier: GenerativeClassifier,
        *,
        chunk_size: int = 256,
        crop: bool = True,
        **path: Any,
    ) -> None:
        check_names(PathSettings, "Explainer", path)
        settings = PathSettings(**path)
        self.convincing_step = settings.convincing_step
        self.truncation = settings.truncation
        self.confidence = settings.confidence
        self.crop = crop
        self.inference = Inference(classifier, chunk_size)

    @classmethod
    def from_checkpoint(
        cls,
        ckpt_path: str | PathLike[str],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        **kwargs: Any,
    ) -> Explainer:
        """Load a checkpoint of this project; it is read with ``weights_only=True``.

        Args:
            ckpt_path: a ``.ckpt`` file written by ``fit``, or the name of a model that ships with
                the package: "pretrained:mnist", "pretrained:fake_mnist", "pretrained:mnist_small".
            device: where to compute.
            dtype: ``torch.float32`` or ``torch.float64``; double precision inverts any flow.
            **kwargs: passed to :class:`Explainer`; where a setting is not given, the checkpoint's
                holds.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is not a checkpoint of a classifier, or for a precision or a
                device that can't be computed in or on.
        """
        check_dtype(dtype)
        classifier, stored = loaded(read_checkpoint(ckpt_path, "classifier"), device, dtype)
        return cls(classifier, **stored | kwargs)

    @staticmethod
    def for_classifier(
        flow: Explainer,
        predict: Any,
        images: Any,
        class_names: Sequence[str] | None = None,
        **settings: Any,
    ) -> Any:
        """A `BlackBoxExplainer` of any classifier, `predict`, through a flow of the same images.

        See `BlackBoxExplainer.of`, which this calls, for all arguments.
        """
        made = import_module("lightning_ecinn.blackbox").BlackBoxExplainer  # which knows us
        return made.of(flow, predict, images, class_names, **settings)

    @property
    def classifier(self) -> GenerativeClassifier:
        """The classifier that is explained."""
        return self.inference.classifier

    @property
    def path(self) -> PathSettings:
        """Which way counterfactuals go, and how far."""
        return PathSettings(
            convincing_step=self.convincing_step,
            truncation=self.truncation,
            confidence=self.confidence,
        )

    @property
    def chunk_size(self) -> int:
        """Pictures that go through the network at once; a copy of the explainer may change its."""
        return self.inference.chunk_size

    @chunk_size.setter
    def chunk_size(self, chunk_size: int) -> None:
        self.inference = self.inference.in_chunks_of(chunk_size)

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
        return self.inference.dtype

    @property
    def device(self) -> torch.device:
        """Where the computation happens."""
        return self.inference.device

    def refresh(self) -> None:
        """Look at all weights anew, after single values were written past autograd.

        Example:
            >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
            >>> explainer.classifier.flow[1].subnet[1].weight.data[0, 0, 0, 0] = 0.5
            >>> explainer.refresh()
        """
        self.inference.refresh()

    @torch.no_grad()
    def encode(self, images: Pictures) -> tuple[Tensor, Tensor]:
        """Latents z (B, D) and log abs det dz/dx' (B,) of images (B, C, H, W).

        x' = (255 x + 1/2) / 256 is the grey level in [0, 1]; log_det is in nats.
        """
        return self.inference.session().encode(self._checked(images))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of latents (B, D)."""
        z = checked_latents(z, self.classifier.num_dims)
        return self.inference.session().decode(z.to(self.device, self.dtype))

    @torch.no_grad()
    def posterior(self, images: Pictures) -> Tensor:
        """p(y|x) of images (B, C, H, W) under a uniform prior (Eq. 2), (B, K)."""
        z, _ = self.encode(images)
        return finite(self.classifier.mixture.log_posterior(z).exp(), "posteriors")

    @torch.no_grad()
    def log_prob(self, images: Pictures) -> Tensor:
        """Log p(x') of images (B, C, H, W), (B,), in nats; x' as in :meth:`encode`."""
        z, log_det = self.encode(images)
        return finite(self.classifier.mixture.log_prob(z) + log_det, "log-likelihoods")

    @torch.no_grad()
    def sample(self, labels: Classes, temperature: float = 1.0) -> Tensor:
        """Images (B, C, H, W) of the given classes (B,)."""
        if not is_number(temperature) or not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be 0 or larger, got {temperature!r}.")
        labels = self._classes(labels, "labels").reshape(-1)
        if not len(labels):
            raise ValueError("labels must name at least one class, got none.")
        return self.inference.session().sample(labels, float(temperature))

    def reconstruct(self, images: Pictures) -> Tensor:
        """Images after encoding and decoding: equal up to the precision of the inverse."""
        return self.decode(self.encode(images)[0])

    def explainable_pairs(self) -> Tensor:
        """Which (source, target) pairs have a counterfactual, bool (K, K), without truncation."""
        model = self.classifier
        return explainable_pairs(
            model.mixture.component_means, model.class_means, model.class_counts
        )

    def explain(
        self,
        images: Pictures,
        target: Classes,
        alpha: Alpha = "convincing",
        *,
        undefined: Literal["raise", "keep"] = "raise",
    ) -> Counterfactual:
        """Counterfactual images: one forward pass, one inverse pass (Eq. 3).

        Only the certified step takes more, at most 16 of each: ``forward_evaluations`` and
        ``inverse_evaluations`` say how many.

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1]; or pictures of any kind that becomes
                that, such as paths, Pillow's pictures and arrays (`as_images`).
            target: the class asked for, by its number or name: one for all, one per image (B,),
                or several per image (B, T), for which the images are encoded only once.
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
                a step too long for the precision, or (unless kept) a pair of classes between
                which there is no step.
        """
        return self.explain_steps(images, target, [alpha], undefined=undefined)[0]

    @torch.no_grad()
    def explain_steps(
        self,
        images: Pictures,
        target: Classes,
        alphas: Sequence[Alpha] = ("tipping", "convincing"),
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
        images = self._checked(images)
        classes = self._classes(target, "target")
        target = checked_targets(classes, len(images), alphas, undefined)
        many = in_columns(target, len(images))
        results = make_counterfactuals(self.inference, self.path, images, many, alphas, undefined)
        return results if target.ndim == 2 else [of_one_target(result) for result in results]

    def _checked(self, images: Pictures) -> Tensor:
        images = as_images(images, self.image_shape, self.crop)
        return checked_images(images, self.image_shape, self.classifier.class_means).detach()

    def _classes(self, classes: Classes, name: str) -> Tensor:
        return checked_classes(classes, name, self.num_classes, self.device, self.class_names)
