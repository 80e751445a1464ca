"""Why there is no step from one class to another, in one sentence."""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_ecinn.ecinn.paths import Paths
from lightning_ecinn.models.classifier import GenerativeClassifier

__all__ = ["refuse_undefined", "refuse_unreachable", "refuse_without_means"]


def refuse_without_means(classifier: GenerativeClassifier, checkpoint: str | None = None) -> None:
    """Refuse a classifier that knows no class mean to step from or to.

    Args:
        classifier: of anywhere.
        checkpoint: that it was read from, if there is one.

    Raises:
        ValueError: says how to build them.
    """
    if not classifier.class_counts.any():
        raise ValueError(
            f"{checkpoint or 'This classifier'} has no class means yet: they are built after "
            "`fit`; for a checkpoint without them: python -m lightning_ecinn means --ckpt_path "
            f"{checkpoint or 'CHECKPOINT'}"
        )


def refuse_undefined(classifier: GenerativeClassifier, paths: Paths) -> None:
    """Refuse paths between classes between which there is no step.

    Raises:
        ValueError: says why for the first of them.
    """
    if paths.defined.all():
        return
    counts, names = classifier.class_counts, classifier.class_names
    source, target = paths.source[~paths.defined], paths.target[~paths.defined]
    refuse_without_means(classifier)
    missing = [k for k in torch.cat((source, target)).unique().tolist() if counts[k] == 0]
    if missing:
        raise ValueError(
            f"No training image was classified as {', '.join(names[k] for k in missing)}, so there "
            "is no class mean to step from or to: train longer, or explain other classes."
        )
    raise ValueError(
        f"There is no step from class {names[source[0]]} to {names[target[0]]}: the difference of "
        "their class means does not lead towards the target. The classifier is hardly trained: "
        "train longer."
    )


def refuse_unreachable(classifier: GenerativeClassifier, paths: Paths, exists: Tensor) -> None:
    """Refuse images for which no step puts the target before every class.

    Args:
        classifier: knows the classes' names.
        paths: of B images to T targets.
        exists: (B, T), whether there is such a step.

    Raises:
        ValueError: says for which image and pair.
    """
    if exists.all():
        return
    image, t = (~exists).nonzero()[0].tolist()
    p, q = (classifier.class_names[k[image, t]] for k in (paths.source, paths.target))
    raise ValueError(
        f"No step along the direction from class {p} to {q} puts {q} before every class for "
        f"image {image} ({int((~exists).sum())} of {exists.numel()} counterfactuals): take "
        'another step, or keep these inputs with undefined="keep".'
    )
