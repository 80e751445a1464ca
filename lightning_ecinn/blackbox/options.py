"""Which classifier is explained in place of a checkpoint's own, as commands take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from lightning_ecinn.blackbox.explainer import BlackBoxExplainer
from lightning_ecinn.blackbox.file import Stored
from lightning_ecinn.blackbox.given import Given, check_given, read_classifier
from lightning_ecinn.blackbox.means import Images
from lightning_ecinn.blackbox.predictor import Answers, PictureKind, Predictor
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.plain_text import plain

__all__ = ["AskedOptions"]


@dataclass(frozen=True, kw_only=True)
class AskedOptions:
    """Which classifier is explained, through the checkpoint's flow, in place of its own.

    Args:
        classifier: a checkpoint of any network of this project, a TorchScript or torch.export file,
            an ONNX file (with onnxruntime), or package.module:function, file.py:function.
        classifier_classes: names of its classes, in order, or a text file with one in each line;
            needed where they are others than the data's.
        classifier_pictures: how it takes pictures: float for [0, 1], uint8 for grey levels,
            symmetric for [-1, 1], imagenet for torchvision's normalisation; float by default.
        classifier_answers: logits, probabilities or labels; by default seen from the answers.
        second_direction: where it never says the target along the line, turn that towards its
            gradient and look again.
        means_images: training images that its class means are over, drawn at random; 0 for all.
    """

    classifier: str | None = None
    classifier_classes: list[str] | None = None
    classifier_pictures: PictureKind | None = None
    classifier_answers: Answers | None = None
    second_direction: bool = False
    means_images: int = 10_000

    def check(self) -> None:
        """Refuse what would mean nothing.

        Raises:
            FileNotFoundError: there is no such classifier.
            ValueError: settings of a classifier without one, a count that is none.
        """
        if self.means_images < 0:
            raise ValueError(f"--means_images is {self.means_images}; give 0 for all, or more.")
        if self.classifier is not None:
            check_given(self.classifier)
            self._given_names()
            return
        for one in fields(AskedOptions):  # not those of commands, which have more
            if getattr(self, one.name) != one.default:
                raise ValueError(
                    f"--{one.name} is about a classifier that is asked, but there is none: give "
                    "--classifier, or leave it out."
                )

    def explainer(
        self,
        flow: Explainer,
        known_names: Sequence[str],
        images: Callable[[], Images],
        stored: Stored | None = None,
        source: object = "The checkpoint",
    ) -> BlackBoxExplainer:
        """Explains the classifier.

        Args:
            flow: of pictures like these.
            known_names: the classes of the data, or of the flow: what the classifier's are called
                where there are as many and it does not say.
            images: gives those that class means are over, where none are stored.
            stored: class means that were read beside the flow.
            source: where they were read, for errors.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the classifier can't be asked, has other classes than are known, or is
                another one than the stored class means are of.
        """
        assert self.classifier is not None
        given = read_classifier(self.classifier, flow.device)
        names = self._given_names() or given.class_names
        if names is None and stored is not None:
            names = stored.class_names
        predictor = self._predictor(given, names)
        if stored is not None:
            return BlackBoxExplainer.of_stored(
                flow, predictor, stored, source, self.second_direction, class_names=names
            )
        if names is None:
            names = self._names_of(predictor, flow, known_names)
        return BlackBoxExplainer.of(
            flow, predictor, images(), names, second_direction=self.second_direction
        )

    def _given_names(self) -> list[str] | None:
        """The names that were given, or the lines of the file that was."""
        names = self.classifier_classes
        if not names or len(names) > 1:
            return names or None
        path = Path(names[0]).expanduser()
        if not path.is_file():
            raise ValueError(
                f"--classifier_classes {names[0]} is one name, and no file of names: give at least "
                "two classes."
            )
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"--classifier_classes {path} can't be read as text ({plain(str(error))}): give a "
                "file with one name in each line, or the names."
            ) from None
        found = [plain(line.strip()) for line in lines if line.strip()]
        if len(found) < 2:
            raise ValueError(
                f"--classifier_classes {path} must hold one name in each line, for at least two "
                f"classes, and holds {len(found)}."
            )
        return found

    def _predictor(self, given: Given, names: Sequence[str] | None) -> Predictor:
        return Predictor(
            given.predict,
            num_classes=None if names is None else len(names),
            answers=self.classifier_answers,
            pictures=self.classifier_pictures or ("uint8" if given.takes_uint8 else "float"),
        )

    def _names_of(
        self, predictor: Predictor, flow: Explainer, known: Sequence[str]
    ) -> Sequence[str]:
        """The known names, if there are as many as the classifier has classes."""
        grey = torch.full((1, *flow.image_shape), 0.5, device=flow.device, dtype=flow.dtype)
        try:
            predictor(grey)
        except ValueError:
            if predictor.answers != "labels":
                raise
            predictor.num_classes = len(known)  # labels say nothing else
        if predictor.num_classes != len(known):
            raise ValueError(
                f"--classifier {self.classifier} knows {predictor.num_classes} classes, and those "
                f"here are {len(known)} ({', '.join(known)}): name its own in order, with "
                "--classifier_classes."
            )
        return known
