"""What a checkpoint and the settings must agree on, before a training goes on from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder
from pytorch_lightning.utilities import rank_zero_warn

from lightning_ecinn.models.checkpoints import rename_earlier
from lightning_ecinn.training.plain import plain

__all__ = ["go_on", "has_tuner", "in_words", "trained_otherwise"]

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
    theirs, ours = dict(checkpoint.get("hyper_parameters", {})), module.hparams
    rename_earlier(theirs)
    different = trained_otherwise(theirs, ours, [field.name for field in fields(kind)])
    for name in _KINDS:
        if name in different:
            raise ValueError(
                f"The checkpoint was trained with {name} {different[name]}, but {name} is "
                f"{ours[name]} here: give {different[name]} to go on, or {_ANEW}."
            )
    if different:
        rank_zero_warn(
            f"The training goes on with the checkpoint's {in_words(different, ours)}: for other "
            f"ones {_ANEW}."
        )
        ours.update(different)


def trained_otherwise(theirs: Mapping[str, Any], ours: Any, names: Iterable[str]) -> dict[str, Any]:
    """A checkpoint's values of those settings that have others here.

    Args:
        theirs: the checkpoint's settings.
        ours: those here, by name.
        names: which are compared, where both have them.
    """
    both = {name: plain(theirs[name]) for name in names if name in theirs and name in ours}
    return {name: v for name, v in both.items() if _as_list(v) != _as_list(plain(ours[name]))}


def in_words(different: Mapping[str, Any], ours: Any) -> str:
    """What :func:`trained_otherwise` found, beside the values here."""
    return ", ".join(f"{name} {value} (not {ours[name]})" for name, value in different.items())


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
