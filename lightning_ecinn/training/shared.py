"""What all LightningModules of this project share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from lightning_ecinn import shipped
from lightning_ecinn.datamodules.image_files import ImageFilesDataModule
from lightning_ecinn.models.checkpoints import READING, read_checkpoint
from lightning_ecinn.training.checkpoint_files import is_local
from lightning_ecinn.training.first_batch import check_labels_on_cpu
from lightning_ecinn.training.fitted_step import store_fitted_step, take_fitted_step, use_step
from lightning_ecinn.training.plain import keep_readable, plain
from lightning_ecinn.training.processes import only_repeats
from lightning_ecinn.training.resuming import go_on, has_tuner
from lightning_ecinn.training.steps import say_images_per_step

__all__ = [
    "DESCRIPTION",
    "DescribedModule",
    "Stage",
    "accuracy",
    "changed_pixels",
    "check_precision",
    "check_same_images",
    "checkpoint_of",
    "log_epoch",
    "seed_step",
]

DESCRIPTION = ("image_shape", "num_classes", "class_names")
"""What a model takes from the data."""

Stage = Literal["train", "val", "test"]
_TRAINING = 0
"""The stream of a training's draws: what is drawn elsewhere belongs to images, see `by_image`."""


class DescribedModule(pl.LightningModule):
    """A module whose checkpoints say what builds its model again, whatever its settings are.

    Its model, with a ``config`` of plain values, is the attribute called like the entry.
    """

    entry: ClassVar[str]
    """In :data:`lightning_ecinn.models.checkpoints.KINDS`."""
    optimiser: ClassVar[type]
    """The dataclass of its optimiser's settings."""
    trained_with: ClassVar[tuple[str, ...]] = ()
    """Settings that training alone uses: what a checkpoint says of them stays, elsewhere."""

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Lightning's, of a file that is what it should be; a shipped model's name will do.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no checkpoint of this kind of model, or it is damaged.
        """
        if isinstance(checkpoint_path, str | PathLike) and is_local(checkpoint_path):
            read_checkpoint(checkpoint_path, cls.entry)
            checkpoint_path = shipped.resolve(checkpoint_path)
        return super().load_from_checkpoint(checkpoint_path, *args, **kwargs)

    @property
    def of_step(self) -> dict[str, Tensor]:
        """What `log_epoch` was given of the newest training batch, by name, on the device."""
        return vars(self).setdefault("_of_step", {})

    @property
    def _model(self) -> Any:
        """What is trained."""
        return getattr(self, self.entry)

    def setup(self, stage: str) -> None:
        """Say nothing of a hook that the module has, and of what Lightning does not yet know."""
        warnings.filterwarnings("ignore", "You have overridden `on_before_batch_transfer` in `Ligh")
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")

    def on_fit_start(self) -> None:
        """Use what Lightning's tuners found; say how many images a step sees."""
        if has_tuner(self.trainer):
            self.trainer.strategy.setup_optimizers(self.trainer)
        say_images_per_step(self.trainer)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Refuse labels that are no classes while they are on the CPU: a GPU could not say it."""
        if self._trainer is None or not self.trainer.predicting:  # there they may be unknown
            check_labels_on_cpu(batch, self._model.num_classes)
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what builds the model again, so that whoever loads it needs nothing else."""
        checkpoint[self.entry] = plain(self._model.config)
        if reading := self._reading():
            checkpoint[READING] = reading
        store_fitted_step(self, checkpoint)
        keep_readable(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of a model of other images or classes, and another optimiser."""
        self._was_read = checkpoint.get(READING)
        if self.entry in checkpoint:
            check_same_images(checkpoint[self.entry], plain(self._model.config))
        if self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
            go_on(self, checkpoint, self.optimiser)
            use_step(self, None)  # it was fitted to weights that are about to change
        else:
            take_fitted_step(self, checkpoint, is_configured=self._trainer is not None)

    def _reading(self) -> dict[str, Any] | None:
        """How picture files become images, where the data are files, or those of before were."""
        data = None if self._trainer is None else getattr(self._trainer, "datamodule", None)
        if isinstance(data, ImageFilesDataModule):
            return {"crop": data.format.crop}
        return getattr(self, "_was_read", None)


def checkpoint_of(module: DescribedModule) -> dict[str, Any]:
    """A checkpoint of a module as it is, whether or not a trainer has trained it, as `fit` writes.

    Args:
        module: whose weights are copied to the CPU, if they are not there.
    """
    checkpoint: dict[str, Any] = {
        "state_dict": {key: value.cpu() for key, value in module.state_dict().items()},
        "hyper_parameters": dict(module.hparams),
        "pytorch-lightning_version": pl.__version__,
        "epoch": 0,
        "global_step": 0,
    }
    module.on_save_checkpoint(checkpoint)
    return checkpoint


def check_precision(trainer: pl.Trainer) -> None:
    """Refuse precisions in which no flow can be inverted."""
    if trainer.precision in ("16-true", "bf16-true"):
        raise ValueError(
            f"An invertible network can't be computed in {trainer.precision}: give precision: "
            'bf16-mixed, "32-true" or "64-true".'
        )


def check_same_images(
    checkpoint: Mapping[str, Any], config: Mapping[str, Any], keys: Sequence[str] = DESCRIPTION
) -> None:
    """Refuse a checkpoint's model, by its ``config``, whose images or classes are not ours."""
    for key in keys:
        theirs, ours = checkpoint.get(key), config[key]
        if theirs != ours:
            raise ValueError(
                f"The network in the checkpoint has {key} {theirs}, but the data's is {ours}: give "
                "the configuration of the data it was trained on."
            )


def seed_step(module: pl.LightningModule) -> None:
    """Seed torch by run, training step and process: a resumed run then repeats the original."""
    run_seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
    key = [run_seed, _TRAINING, module.global_step, module.global_rank]
    torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]) >> 1)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of logits (B, K) that are largest at their label (B,).

    Not torchmetrics': that looks at the values, and the processor would wait for the device.
    """
    return (logits.argmax(1) == labels).float().mean()


def changed_pixels(
    trainer: pl.Trainer, batch: Any, source: Tensor, target: Tensor
) -> Tensor | None:
    """What the test data know of the pixels that tell two classes apart, (B, C, H, W)."""
    ask = getattr(getattr(trainer, "datamodule", None), "changed_pixels", None)
    if ask is None or len(batch) < 3:  # no such method, or no indices to ask about
        return None
    return ask("test", batch[2], source, target)


def log_epoch(
    module: DescribedModule,
    values: Mapping[str, Tensor],
    batch_size: int,
    *,
    prog_bar: bool = False,
) -> None:
    """Log averages over the images of an epoch and over all processes, each image once.

    Those of a training batch are left with the module, too, for curves over steps.

    Args:
        module: what logs.
        values: averages over a batch, by name.
        batch_size: its images.
        prog_bar: whether the progress bar shows them.
    """
    if module._trainer is not None and module.trainer.training:
        module.of_step.update({key: value.detach() for key, value in values.items()})
    # Lightning averages the weights over processes, which rounds whole numbers down.
    repeats = module._trainer is not None and only_repeats(module.trainer)
    weight = 0.0 if repeats else float(batch_size)
    module.log_dict(
        values,
        batch_size=weight,  # type: ignore[arg-type]
        prog_bar=prog_bar,
        on_step=False,
        on_epoch=True,
        sync_dist=True,
    )
