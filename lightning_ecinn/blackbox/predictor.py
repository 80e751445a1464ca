"""Any classifier, asked and not looked into."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_ecinn.flows.settings import is_whole
from lightning_ecinn.models.inputs import as_numbers, shown

__all__ = ["Answers", "PictureKind", "Predictor", "put_in_evaluation"]

Answers = Literal["logits", "probabilities", "labels"]
"""What a classifier says of images: (B, K), (B, K) or (B,)."""

PictureKind = Literal["float", "uint8", "symmetric", "imagenet"]
"""How pictures are given to it: in [0, 1], as grey levels, in [-1, 1], or less the mean of ImageNet
and divided by its standard deviation, as torchvision's networks take them."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of each channel."""

_ROUNDING = 1e-3
"""By which the sum of probabilities may miss 1, in float16 too."""


class Predictor:
    """A classifier that can be asked: pictures in, probabilities (B, K) out, float64.

    Args:
        predict: a module or function of pictures (B, C, H, W), which returns a tensor, an array or
            a list: logits or probabilities (B, K), or labels (B,) alone. A module is asked
            in evaluation mode, in which it is left, on the device of its weights. Preprocessing of
            its own, such as scaling or resizing, belongs into it.
        num_classes: K; needed where the answers are labels.
        answers: what they are; by default found from the first: whole numbers (B,) are labels, rows
            in [0, 1] that sum to 1 probabilities, everything else (B, K) logits.
        pictures: "float" for pictures in [0, 1], float32; "uint8" for grey levels; "symmetric" for
            [-1, 1]; "imagenet" for three channels, grey ones repeated, less ImageNet's mean and
            divided by its standard deviation, as most of torchvision's networks take them.
        chunk_size: pictures that it is asked about at once.

    Raises:
        ValueError: for settings that are none; when asked, for answers that are none of the above,
            or hold NaN.

    Example:
        >>> bright = Predictor(lambda x: (x.mean((1, 2, 3)) > 0.5).long(), num_classes=2)
        >>> bright(torch.ones(1, 1, 2, 2)), bright.answers
        (tensor([[0., 1.]], dtype=torch.float64), 'labels')
    """

    def __init__(
        self,
        predict: nn.Module | Callable[[Tensor], Any],
        *,
        num_classes: int | None = None,
        answers: Answers | None = None,
        pictures: PictureKind = "float",
        chunk_size: int = 256,
    ):
        _check_settings(predict, num_classes, answers, pictures, chunk_size)
        self.predict, self.num_classes, self.answers = predict, num_classes, answers
        self.pictures, self.chunk_size = pictures, chunk_size

    @property
    def module(self) -> nn.Module | None:
        """What answers, where that is a module."""
        return self.predict if isinstance(self.predict, nn.Module) else None

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Probabilities (B, K) of pictures (B, C, H, W) in [0, 1]; of labels 1 and 0."""
        return torch.cat([self._asked(chunk) for chunk in pictures.split(self.chunk_size)])

    def scores(self, pictures: Tensor) -> Tensor:
        """Logits or the logarithms of probabilities, (B, K), with the gradients that they have."""
        if self.answers is None:
            self(pictures[:1])
        answers = self._answers(pictures)
        if self.answers == "probabilities":
            answers = answers.clamp_min(torch.finfo(answers.dtype).tiny).log()
        return answers.to(pictures)

    def log_probabilities(self, pictures: Tensor) -> Tensor:
        """The logarithms of probabilities, (B, K), with their gradients.

        Raises:
            ValueError: the classifier has none.
        """
        answers = self.scores(pictures)
        if not answers.requires_grad:
            raise ValueError(
                "A second direction needs the classifier's gradients, and its answers have none: "
                "give a module or function of torch's, or leave second_direction out."
            )
        return answers if self.answers == "probabilities" else answers.log_softmax(1)

    def _answers(self, pictures: Tensor) -> Tensor:
        """What it says, whole numbers as int64."""
        if self.module is not None:
            put_in_evaluation(self.module)  # somebody may have gone on training it
        said = self.predict(self._as_asked(pictures))
        answers = as_numbers(said)
        if answers is None or answers.is_complex():
            raise ValueError(
                "The classifier must answer with one tensor, array or list of numbers, (B, K) or "
                f"(B,), and gave {shown(said)}: give a function that returns its logits, "
                "probabilities or labels alone."
            )
        return answers if answers.is_floating_point() else answers.long()

    def _asked(self, pictures: Tensor) -> Tensor:
        answers = self._answers(pictures)
        if not answers.isfinite().all():
            raise ValueError(
                "The classifier's answers must be finite numbers, (B, K) or (B,), and were NaN or "
                "infinite."
            )
        if self.answers is None:
            self.answers = _kind(answers)
        self._check_shape(tuple(answers.shape), len(pictures), answers.dtype)
        self._check_values(answers)
        return self._probabilities(answers.to(pictures.device)).double()

    def _as_asked(self, pictures: Tensor) -> Tensor:
        """Pictures as the classifier takes them, where it is, in the precision of its weights."""
        weight = None if self.module is None else next(self.module.parameters(), None)
        device, dtype = pictures.device, torch.float32
        if weight is not None:
            device, dtype = weight.device, weight.dtype if weight.is_floating_point() else dtype
        if self.pictures == "uint8":
            return (pictures * 255).round().to(device, torch.uint8)
        pictures = pictures.to(device, dtype)
        if self.pictures == "symmetric":
            return 2 * pictures - 1
        if self.pictures == "imagenet":
            mean, std = (pictures.new_tensor(v).view(1, 3, 1, 1) for v in _IMAGENET)
            return (pictures - mean) / std
        return pictures

    def _check_shape(self, shape: tuple[int, ...], count: int, dtype: torch.dtype) -> None:
        """Refuse answers of another shape or number of classes, which the first ones say."""
        if self.answers != "labels" and shape in ((count,), (count, 1)):
            raise ValueError(
                f"The classifier gives one number for each picture, {dtype} of shape {shape}: of "
                "two classes give both, as torch.cat((1 - p, p), 1) of a probability p (B, 1) or "
                "torch.cat((0 * z, z), 1) of a logit z; labels are whole numbers (B,)."
            )
        rows = self.answers != "labels" and len(shape) == 2 and shape[0] == count
        if rows and self.num_classes is None:
            self.num_classes = shape[1]
        if self.answers == "labels" and self.num_classes is None:
            raise ValueError(
                "The classifier answers with labels, so that nobody knows how many classes there "
                "are: give num_classes or class_names."
            )
        if rows and shape[1] != self.num_classes:
            raise ValueError(
                f"The classifier answers for {shape[1]} classes, and {self.num_classes} were "
                "expected: give one name for each of its classes (class_names, "
                "--classifier_classes), or the classifier that has as many."
            )
        if not rows and (self.answers != "labels" or shape != (count,)):
            expected = f"({count},)" if self.answers == "labels" else f"({count}, K)"
            raise ValueError(
                f"The classifier's answers of {count} pictures must be {self.answers} of shape "
                f"{expected}, got shape {shape} of {dtype}."
            )

    def _check_values(self, answers: Tensor) -> None:
        """Refuse labels that are no classes, and probabilities that are none."""
        if self.answers == "labels":
            assert self.num_classes is not None  # checked
            wrong = (answers != answers.round()) | (answers < 0) | (answers >= self.num_classes)
            if wrong.any():
                raise ValueError(
                    f"The classifier's labels must be whole numbers from 0 to "
                    f"{self.num_classes - 1}, got {answers[wrong][0].item():g}."
                )
        if self.answers == "probabilities" and not _are_probabilities(answers):
            raise ValueError(
                "The classifier's probabilities must be in [0, 1] and sum to 1: give answers="
                '"logits" (--classifier_answers logits) if they are none.'
            )

    def _probabilities(self, answers: Tensor) -> Tensor:
        if self.answers == "labels":
            assert self.num_classes is not None  # checked
            return F.one_hot(answers.long(), self.num_classes)
        if self.answers == "probabilities":
            return answers.double() / answers.double().sum(1, keepdim=True)
        return answers.double().softmax(1)


def put_in_evaluation(module: nn.Module) -> None:
    """Put a module in evaluation mode; a program of torch.export has no other and refuses."""
    with suppress(NotImplementedError):
        module.eval()


def _check_settings(
    predict: Any, num_classes: Any, answers: Any, pictures: Any, chunk_size: Any
) -> None:
    """Refuse settings of `Predictor` that are none."""
    if isinstance(predict, type) or not callable(predict):
        raise ValueError(
            "The classifier must be a module or a function of pictures (of a class an object), got "
            f"{shown(predict)}."
        )
    if num_classes is not None and not (is_whole(num_classes) and num_classes >= 2):
        raise ValueError(f"num_classes must be a whole number from 2 up, got {shown(num_classes)}.")
    if answers is not None and answers not in get_args(Answers):
        raise ValueError(f'answers must be "logits", "probabilities" or "labels", got {answers!r}.')
    if pictures not in get_args(PictureKind):
        known = ", ".join(f'"{kind}"' for kind in get_args(PictureKind))
        raise ValueError(f"pictures must be one of {known}, got {pictures!r}.")
    if not (is_whole(chunk_size) and chunk_size >= 1):
        raise ValueError(f"chunk_size must be a whole number from 1 up, got {shown(chunk_size)}.")


def _kind(answers: Tensor) -> Answers:
    """What answers are, by their looks."""
    if answers.ndim == 1 and not answers.is_floating_point():
        return "labels"
    return "probabilities" if _are_probabilities(answers) else "logits"


def _are_probabilities(answers: Tensor) -> bool:
    if answers.ndim != 2 or not answers.is_floating_point():
        return False
    missed = (answers.double().sum(1) - 1).abs().max()
    return bool(answers.min() >= 0 and missed <= max(_ROUNDING, torch.finfo(answers.dtype).eps))
