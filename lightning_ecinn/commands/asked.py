"""Another classifier than a flow's own, explained over the images of a run's data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from lightning_ecinn.blackbox import AskedOptions, BlackBoxExplainer
from lightning_ecinn.blackbox.file import Stored, stored_in
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.models.checkpoints import Checkpoint
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.plain_text import plain
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import draw_batches
from lightning_ecinn.training.checkpoint_files import CheckpointFiles
from lightning_ecinn.training.shared import check_same_images

__all__ = ["description_of", "explained_by_checkpoint", "explained_classifier", "first_flow"]

_SEED = 0
"""Of the training images that class means are over."""


def explained_classifier(
    trainer: pl.Trainer,
    datamodule: pl.LightningDataModule,
    options: AskedOptions,
    flow: Explainer,
    stored: Stored | None,
    source: object,
) -> BlackBoxExplainer:
    """Explains the classifier of the options, on the trainer's device.

    Args:
        trainer: knows the device.
        datamodule: its training images are what class means are over, if none are stored.
        options: which classifier.
        flow: encodes and decodes.
        stored: class means that were read beside the flow.
        source: where they were read, for errors.

    Raises:
        FileNotFoundError: there is no such classifier.
        ValueError: it can't be asked, or has other classes than are known.
    """
    flow.classifier.to(trainer.strategy.root_device)

    def images() -> Iterator[Tensor]:
        datamodule.prepare_data()
        datamodule.setup("fit")
        trainer.datamodule = datamodule  # type: ignore[attr-defined]
        drawn = torch.Generator().manual_seed(_SEED)
        batches = draw_batches(trainer, "train", drawn, flow.chunk_size)
        return _first(batches, options.means_images)

    names = datamodule.class_names  # type: ignore[attr-defined]
    explainer = options.explainer(flow, names, images, stored, source)
    counts = zip(explainer.class_names, explainer.class_counts.tolist(), strict=True)
    told = ", ".join(f"{name} {count:,}" for name, count in counts)
    rank_zero_info(plain(f"Training images as {options.classifier} classifies them: {told}"))
    return explainer


def explained_by_checkpoint(
    trainer: pl.Trainer,
    model: pl.LightningModule,
    datamodule: pl.LightningDataModule | None,
    ckpt_path: str | None,
    options: AskedOptions,
    files: CheckpointFiles,
    *,
    anew: bool = False,
) -> BlackBoxExplainer:
    """Explains the classifier of the options through the flow of a checkpoint.

    Args:
        trainer: knows the device.
        model: whose ``hparams`` say which way counterfactuals go; its own flow, without checkpoint.
        datamodule: the images.
        ckpt_path: the checkpoint.
        options: which classifier.
        files: reads the checkpoint.
        anew: whether class means that the checkpoint holds of another classifier are left aside.

    Raises:
        ValueError: there is no flow, or none of such images; as `explained_classifier`.
    """
    if datamodule is None:
        raise ValueError("--classifier needs a DataModule: its class means are over its images.")
    stored = None
    if ckpt_path is not None:
        checkpoint = files.take(ckpt_path, "classifier")
        check_same_images(checkpoint.config, description_of(datamodule), ("image_shape",))
        classifier: Any = checkpoint.model()
        stored = None if anew else stored_in(checkpoint)
    elif isinstance(model, IBINN):
        classifier = model.classifier
    else:
        raise ValueError(
            f"--classifier is explained through a flow, and {type(model).__name__} has none: give "
            "model.class_path IBINN and the --ckpt_path of one."
        )
    names = [one.name for one in fields(PathSettings) if one.name in model.hparams]
    flow = Explainer(classifier, **{name: model.hparams[name] for name in names})
    return explained_classifier(trainer, datamodule, options, flow, stored, ckpt_path)


def first_flow(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The first checkpoint of a generative classifier.

    Raises:
        ValueError: there is none.
    """
    for checkpoint in checkpoints:
        if isinstance(checkpoint.model(), GenerativeClassifier):
            return checkpoint
    raise ValueError(
        "--classifier is explained through a flow, and none of the checkpoints holds a "
        "generative classifier: give --ckpt_path of one, too."
    )


def description_of(datamodule: pl.LightningDataModule) -> dict[str, Any]:
    """What images and classes the data have, as a model's ``config`` says it."""
    data: Any = datamodule
    return {
        "image_shape": list(data.image_shape),
        "num_classes": data.num_classes,
        "class_names": list(data.class_names),
    }


def _first(batches: Iterable[Any], count: int) -> Iterator[Tensor]:
    """The first images of batches; all of them where count is 0."""
    seen = 0
    for images, *_ in batches:
        part = images[: count - seen] if count else images
        seen += len(part)
        yield part
        if count and seen >= count:
            return
