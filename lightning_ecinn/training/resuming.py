"""What a checkpoint and the settings must agree on, before a training goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder
from pytorch_lightning.utilities import rank_zero_warn

from lightning_ecinn.models.checkpoints import rename_earlier
from lightning_ecinn.training.plain import plain

__all__ = ["go_on", "has_tuner"]

_KINDS = ("optimizer", "schedule")
_ANEW = "start a new training, of an IBINN from these weights with init_from"


def has_tuner(trainer: pl.Trainer) -> bool:
    """Whether one of Lightning's tuners looks for a learning rate or a batch size."""
    kinds = (BatchSizeFinder, LearningRateFinder)
    return any(isinstance(c, kinds) for c in trainer.callbacks)  # type: ignore[attr-defined]


def go_on(module: pl.LightningModule, checkpoint: Mapping[str, Any], kind: type) -> None:
    """Refuse another optimiser or schedule than a checkpoint's; say which of its settings stay.

    Args:
        module: goes on with the checkpoint's learning rates and the like, as its ``hparams`` say
            from now on.
        checkpoint: of which training goes on.
        kind: the dataclass of the optimiser's settings.

    Raises:
        ValueError: the checkpoint has no optimiser, or another one; or one of Lightning's tuners is
            there, which would lose the state of the training.
    """
    if has_tuner(module.trainer) and (step := checkpoint.get("global_step", 0)):
        raise ValueError(
            "BatchSizeFinder and LearningRateFinder look for settings of a new training, but the "
            f"checkpoint goes on after step {step}: leave out the finder, or the checkpoint."
        )
    if not {"optimizer_states", "lr_schedulers"} <= checkpoint.keys():
        raise ValueError(
            f"The checkpoint holds weights only, no optimiser that could go on: {_ANEW}."
        )
    theirs, ours = plain(dict(checkpoint.get("hyper_parameters", {}))), module.hparams
    rename_earlier(theirs)
    names = [field.name for field in fields(kind) if field.name in theirs]
    different = [name for name in names if _listed(theirs[name]) != _listed(plain(ours[name]))]
    for name in different:
        if name in _KINDS:
            raise ValueError(
                f"The checkpoint was trained with {name} {theirs[name]}, but {name} is "
                f"{ours[name]} here: give {theirs[name]} to go on, or {_ANEW}."
            )
    if different:
        details = ", ".join(f"{name} {theirs[name]} (not {ours[name]})" for name in different)
        rank_zero_warn(
            f"The training goes on with the checkpoint's {details}: for other ones {_ANEW}."
        )
        ours.update({name: theirs[name] for name in different})


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
