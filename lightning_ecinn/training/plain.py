"""Values that a checkpoint may hold: it is read as data, never as code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.utilities import rank_zero_warn

__all__ = ["keep_readable", "make_plain", "plain"]

_STORED = (bool, int, float, complex, str, bytes, type(None), torch.Tensor, torch.dtype)
_HYPERPARAMETERS = ("hyper_parameters", "datamodule_hyper_parameters")


def plain(value: Any) -> Any:
    """A value without numpy's types and without paths; others are left as they are.

    Example:
        >>> plain({"lr": np.float64(0.1), "widths": np.array([8, 16]), "root": Path("data")})
        {'lr': 0.1, 'widths': [8, 16], 'root': 'data'}
    """
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if type(value) is dict:
        return {plain(key): plain(entry) for key, entry in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(map(plain, value))
    return value


def make_plain(settings: Any) -> None:
    """Make the values of a dataclass, frozen or not, plain ones."""
    for field in fields(settings):
        object.__setattr__(settings, field.name, plain(getattr(settings, field.name)))


def keep_readable(checkpoint: dict[str, Any]) -> None:
    """Make a checkpoint plain values, in place; settings that have none are left out.

    A learning rate of numpy's is in the state of optimiser and schedule too.
    """
    for entry in checkpoint.keys() - {"state_dict"}:
        checkpoint[entry] = plain(checkpoint[entry])
    for entry in _HYPERPARAMETERS:
        settings = checkpoint.get(entry)
        if not isinstance(settings, dict):
            continue
        lost = [name for name, value in settings.items() if not _is_stored(value)]
        if lost:
            rank_zero_warn(
                f"Checkpoints hold plain values only, so not the setting {', '.join(lost)}: give "
                "it again to load_from_checkpoint."
            )
        checkpoint[entry] = {name: v for name, v in settings.items() if name not in lost}


def _is_stored(value: Any) -> bool:
    """Whether torch reads a plain value back without running code."""
    if isinstance(value, Mapping):
        return type(value) is dict and all(map(_is_stored, [*value, *value.values()]))
    if type(value) in (list, tuple, set, torch.Size):
        return all(map(_is_stored, value))
    return type(value) in _STORED or isinstance(value, torch.Tensor)
