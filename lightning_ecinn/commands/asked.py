"""Another classifier than a flow's own, explained over the images of a run's data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytorch_lightning as pl

from lightning_ecinn.blackbox import AskedOptions, BlackBoxExplainer
from lightning_ecinn.blackbox.file import Stored, stored_in
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.models.checkpoints import Checkpoint
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.asked import explained_classifier
from lightning_ecinn.training.checkpoint_files import CheckpointFiles
from lightning_ecinn.training.shared import check_same_images

__all__ = ["description_of", "explained_by_checkpoint", "explained_over_data", "first_flow"]


def explained_over_data(
    trainer: pl.Trainer,
    datamodule: pl.LightningDataModule,
    options: AskedOptions,
    flow: Explainer,
    stored: Stored | None,
    source: object,
) -> BlackBoxExplainer:
    """As `explained_classifier`, before anything is run: the data are made ready if needed."""
    if stored is None:
        datamodule.prepare_data()
        datamodule.setup("fit")
        trainer.datamodule = datamodule  # type: ignore[attr-defined]
    names = datamodule.class_names  # type: ignore[attr-defined]
    return explained_classifier(trainer, options, flow, names, stored, source)


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
    return explained_over_data(trainer, datamodule, options, flow, stored, ckpt_path)


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
