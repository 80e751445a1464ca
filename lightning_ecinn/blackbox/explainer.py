"""Counterfactual explanations of any classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lightning_ecinn.blackbox.black_box import BlackBox, distinct_names
from lightning_ecinn.blackbox.certify import certify
from lightning_ecinn.blackbox.file import Stored, stored_in, write_black_box
from lightning_ecinn.blackbox.making import make_counterfactuals
from lightning_ecinn.blackbox.means import Images, means_as_classified
from lightning_ecinn.blackbox.predictor import Predictor
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.loading import loaded
from lightning_ecinn.ecinn.steps import Alpha
from lightning_ecinn.ecinn.targets import checked_targets, in_columns, of_one_target
from lightning_ecinn.models.checkpoints import read_checkpoint
from lightning_ecinn.models.inputs import as_float, checked_classes, checked_images, shown
from lightning_ecinn.models.preprocessing import round_to_8_bits
from lightning_ecinn.pictures.convert import Pictures, as_images

__all__ = ["BlackBoxExplainer"]


class BlackBoxExplainer(BlackBox):
    """Counterfactual explanations of any classifier, through a trained flow of the same images.

    ECINN's class means are means over images *as classified*, and its path is a line between them.
    Here any classifier does the classifying, and the steps along the line, which have closed forms
    for the flow's own classifier, are found by asking: pictures are made in 8 bits, at most 26 for
    each, and the classifier says what it sees. It needs neither gradients nor probabilities.

    `Explainer.for_classifier` builds the class means and makes one; :meth:`from_checkpoint` reads
    one back.

    Args:
        flow: encodes and decodes; its settings (convincing_step, truncation, confidence) hold here,
            its classes do not matter.
        predictor: the classifier that is explained.
        class_means: (K, D), mean latents of images as it classifies them.
        class_counts: (K,), how many those were.
        class_names: one name per class, by default their numbers.
        second_direction: where the classifier says the target nowhere along the line, turn that
            towards the classifier's gradient and look again; needs one that has gradients.

    Raises:
        ValueError: class means of another shape than the flow's latents and the names'.

    Example:
        >>> flow = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> images = MNIST(source="sample").dataset("test").images[:300]
        >>> def by_weight(x):  # an ordinary function: thin or thick
        ...     return (x.mean((1, 2, 3)) > 0.13).long()
        >>> explainer = Explainer.for_classifier(flow, by_weight, images, ["thin", "thick"])
        >>> cf = explainer.explain(images[:2], "thick", "certified")
        >>> [cf.class_names[k] for k in cf.certificate.predicted], cf.certificate.holds.all()
        (['thick', 'thick'], tensor(True))
    """

    @classmethod
    def of(
        cls,
        flow: Explainer,
        predict: nn.Module | Callable[[Tensor], Any] | Predictor,
        images: Images,
        class_names: Sequence[str] | None = None,
        *,
        second_direction: bool = False,
        progress: bool = True,
        **asking: Any,
    ) -> BlackBoxExplainer:
        """Build the class means of a classifier, and explain it.

        Args:
            flow: of a trained generative classifier, which may know other classes.
            predict: a module or function of pictures (B, C, H, W) that gives logits or
                probabilities (B, K) or labels (B,), or a `Predictor`.
            images: (N, C, H, W) uint8 or float in [0, 1], or batches of them, such as a loader of
                training images: the class means are over them, as the classifier sees them.
            class_names: the classifier's, by default its numbers.
            second_direction: as for the class.
            progress: whether a terminal shows a bar.
            **asking: of `Predictor`: num_classes, answers, pictures, chunk_size.

        Raises:
            ValueError: for what can't be asked, and images that the flow can't encode.
        """
        if not isinstance(flow, Explainer):
            raise ValueError(
                "flow must be an Explainer, as Explainer.from_checkpoint gives one, got "
                f"{shown(flow)}."
            )
        class_names = distinct_names(class_names)
        predictor = _predictor(predict, None if class_names is None else len(class_names), asking)
        means, counts = means_as_classified(flow, predictor, images, progress=progress)
        return cls(flow, predictor, means, counts, class_names, second_direction=second_direction)

    @classmethod
    def from_checkpoint(
        cls,
        ckpt_path: str | PathLike[str],
        predict: nn.Module | Callable[[Tensor], Any] | Predictor,
        *,
        second_direction: bool = False,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        **asking: Any,
    ) -> BlackBoxExplainer:
        """Read the flow and class means that :meth:`save` wrote, for the same classifier.

        Args:
            ckpt_path: the file.
            predict: the classifier, or a `Predictor`.
            second_direction: as for the class.
            device: where the flow computes.
            dtype: its precision.
            **asking: passed to `Predictor`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds no class means of a classifier, or those of another one.
        """
        checkpoint = read_checkpoint(ckpt_path, "classifier")
        classifier, settings = loaded(checkpoint, device, dtype)
        flow, stored = Explainer(classifier, **settings), stored_in(checkpoint)
        if stored is None:
            raise ValueError(
                f"{ckpt_path} holds a flow but no class means of another classifier: build them "
                "with Explainer.for_classifier, whose result can be saved."
            )
        return cls.of_stored(flow, predict, stored, ckpt_path, second_direction, **asking)

    @classmethod
    def of_stored(
        cls,
        flow: Explainer,
        predict: nn.Module | Callable[[Tensor], Any] | Predictor,
        stored: Stored,
        source: object,
        second_direction: bool = False,
        class_names: Sequence[str] | None = None,
        **asking: Any,
    ) -> BlackBoxExplainer:
        """Of class means that were read beside the flow; see :meth:`from_checkpoint`.

        Args:
            flow: encodes and decodes.
            predict: the classifier.
            stored: what was read.
            source: where it was read, for errors.
            second_direction: as for the class.
            class_names: of the classifier; those that were read by default.
            **asking: passed to `Predictor`.
        """
        predictor = _predictor(predict, len(stored.class_counts), asking)
        stored.check_same(flow, predictor, source)
        return cls(
            flow,
            predictor,
            stored.class_means,
            stored.class_counts,
            class_names or stored.class_names,
            second_direction=second_direction,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write flow, class means and the classifier's fingerprint, not the classifier, to a file.

        The fingerprint is what the classifier says of the pictures of its class means.

        Raises:
            ValueError: there is such a file; nothing is overwritten.
            WriteError: it can't be written.
        """
        write_black_box(
            path,
            self.flow,
            self.predictor,
            class_means=self.class_means,
            class_counts=self.class_counts,
            class_names=self.class_names,
        )

    def encode(self, images: Pictures) -> tuple[Tensor, Tensor]:
        """The flow's latents (B, D) and log-determinants (B,) of images (B, C, H, W)."""
        return self.flow.encode(images)

    def log_prob(self, images: Pictures) -> Tensor:
        """The flow's log p(x') of images (B, C, H, W), (B,), in nats."""
        return self.flow.log_prob(images)

    @torch.no_grad()
    def posterior(self, images: Pictures) -> Tensor:
        """What the classifier says of images (B, C, H, W) in 8 bits, (B, K), float64."""
        return self.predictor(round_to_8_bits(as_float(self._checked(images), self.flow.dtype)))

    def explain(
        self,
        images: Pictures,
        target: Any,
        alpha: Alpha = "convincing",
        *,
        undefined: Literal["raise", "keep"] = "raise",
    ) -> Counterfactual:
        """Counterfactual images, as `Explainer.explain`, of the classifier that was given.

        Args:
            images: (B, C, H, W), or pictures of any kind that becomes that.
            target: the class asked for, by number or name: one, (B,) or (B, T).
            alpha: "tipping" for alpha_0, the smallest step at which q is as likely as p;
                "convincing" for the paper's offset + slope alpha_0; "star" for the smallest at
                which the classifier says q; "certified" for the smallest at which q has at least
                the confidence; all found by search, up to 3 Delta, on pictures in 8 bits. Or a step
                length of one's own.
            undefined: what to do where there is no step: an error, or keep the image as it is.

        Returns:
            The counterfactuals. ``posterior`` is the classifier's of the picture in 8 bits,
            ``forward_evaluations`` counts how often it was asked, the image itself included (a
            gradient counts as two), ``inverse_evaluations`` the pictures that were made.

        Raises:
            ValueError: as `Explainer.explain`.
        """
        return self.explain_steps(images, target, [alpha], undefined=undefined)[0]

    @torch.no_grad()
    def explain_steps(
        self,
        images: Pictures,
        target: Any,
        alphas: Sequence[Alpha] = ("tipping", "convincing"),
        *,
        undefined: Literal["raise", "keep"] = "raise",
    ) -> list[Counterfactual]:
        """Counterfactuals of the same images and targets at several steps.

        What two of them search for alike is searched for once, and counts for both.
        """
        images = self._checked(images)
        classes = checked_classes(
            target, "target", self.num_classes, self.flow.device, self.class_names
        )
        target = checked_targets(classes, len(images), alphas, undefined)
        many = in_columns(target, len(images))
        made = make_counterfactuals(
            self, images, many, alphas, undefined, lambda alpha: partial(certify, self, alpha)
        )
        return made if target.ndim == 2 else [of_one_target(cf) for cf in made]

    def _checked(self, images: Pictures) -> Tensor:
        images = as_images(images, self.image_shape, self.flow.crop)
        return checked_images(images, self.image_shape, self.flow.classifier.class_means).detach()


def _predictor(predict: Any, num_classes: int | None, asking: dict[str, Any]) -> Predictor:
    """A `Predictor` as it is, else one of these settings; it learns how many classes there are."""
    if not isinstance(predict, Predictor):
        return Predictor(predict, **{"num_classes": num_classes, **asking})
    if asking:
        raise ValueError(
            f"The classifier is a Predictor, which has settings of its own: give it "
            f"{', '.join(asking)} where it is made."
        )
    if predict.num_classes is None:
        predict.num_classes = num_classes
    return predict
