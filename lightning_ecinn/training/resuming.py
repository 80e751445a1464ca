"""What a checkpoint and the settings must agree on, before a training goes on from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from lightning_ecinn.models.checkpoints import rename_earlier
from lightning_ecinn.training.plain import plain

__all__ = ["go_on", "has_tuner", "keep_trained_with"]

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
    theirs, ours = _different(module, checkpoint, [field.name for field in fields(kind)])
    for name in _KINDS:
        if name in theirs:
            raise ValueError(
                f"The checkpoint was trained with {name} {theirs[name]}, but {name} is "
                f"{ours[name]} here: give {theirs[name]} to go on, or {_ANEW}."
            )
    if theirs:
        rank_zero_warn(
            f"The training goes on with the checkpoint's {_listed(theirs, ours)}: for other ones "
            f"{_ANEW}."
        )
        module.hparams.update(theirs)


def keep_trained_with(
    module: pl.LightningModule, checkpoint: Mapping[str, Any], names: Sequence[str]
) -> None:
    """What a checkpoint was trained with stays true where nothing is trained, and is said.

    Args:
        module: into which it is loaded; its ``hparams`` become the checkpoint's.
        checkpoint: its content.
        names: of the settings that training alone uses.
    """
    theirs, ours = _different(module, checkpoint, names)
    if theirs:
        rank_zero_info(f"The checkpoint was trained with {_listed(theirs, ours)}; that stays.")
        module.hparams.update(theirs)


def _different(
    module: pl.LightningModule, checkpoint: Mapping[str, Any], names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of some settings that a checkpoint has otherwise: its own, and the module's."""
    theirs, ours = plain(dict(checkpoint.get("hyper_parameters", {}))), module.hparams
    rename_earlier(theirs)
    both = [name for name in names if name in theirs and name in ours]
    different = [name for name in both if _as_list(theirs[name]) != _as_list(plain(ours[name]))]
    return {name: theirs[name] for name in different}, {name: ours[name] for name in different}


def _listed(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value} (not {ours[name]})" for name, value in theirs.items())


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
