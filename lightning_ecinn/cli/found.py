"""Settings that are null in a configuration: found from the data, or those of what goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from jsonargparse import ArgumentParser, Namespace
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.cli.config_files import read_config
from lightning_ecinn.cli.configuration import find_configuration
from lightning_ecinn.cli.earlier import translate
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.models.checkpoints import Checkpoint
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.found import (
    FOUND,
    FOUND_IN_DATA,
    OF_TRAINING,
    find_balanced,
    find_settings,
)
from lightning_ecinn.training.plain import plain

__all__ = ["fill_from_checkpoint", "fill_from_data"]


def fill_from_data(options: Namespace, kind: type, is_fit: bool) -> list[str]:
    """Replace what is null by what the data decide, and say each in a line.

    Args:
        options: of the subcommand, changed in place.
        kind: of the model.
        is_fit: whether there is a training: what only that needs is not found otherwise.

    Returns:
        The lines.
    """
    of_model, of_data = _nulls(options, "model", kind), _nulls(options, "data", kind)
    of_data = [name for name in of_data if is_fit or name not in OF_TRAINING]
    if not of_model and not of_data:
        return []
    lines, data = [], _instantiated(options.data)
    for name in of_data:
        value, why = _found_in_data(data, name)
        options.data.init_args[name] = value
        lines.append(f"{name}: {str(value).lower()} ({why})")
        rank_zero_info(lines[-1])
    if not of_model:
        return lines
    found = find_settings(data)
    for name in of_model:
        options.model.init_args[name] = found.model[name]
        lines.append(found.line(name))
        rank_zero_info(lines[-1])
    return lines


def fill_from_checkpoint(
    options: Namespace, kind: type, path: str, checkpoint: Checkpoint, is_fit: bool
) -> None:
    """Replace what is null by what a checkpoint was trained with: nothing is found anew.

    Args:
        options: of the subcommand, changed in place.
        kind: of the model.
        path: of the checkpoint.
        checkpoint: what is in it.
        is_fit: whether the training goes on: then its epochs are those of its run, too.

    Raises:
        ValueError: minutes are given, and nobody knows how many epochs the training has.
    """
    where = find_configuration(Path(path))
    config = translate(read_config(where, str(where)).content) if where else {}
    known = {key: _init_args(config, key) for key in ("model", "data")}
    shape = checkpoint.config.get("image_shape", (None, None))
    trained = plain(dict(checkpoint.content.get("hyper_parameters") or {}))
    known["model"] = {**trained, **known["model"]}
    known["data"] = {"channels": shape[0], "resolution": shape[1], **known["data"]}
    for key, values in known.items():
        for name in _nulls(options, key, kind):
            options[key].init_args[name] = values.get(name)
    if is_fit:
        _keep_epochs(options, (config.get("trainer") or {}).get("max_epochs"), path)


def _keep_epochs(options: Namespace, epochs: int | None, path: str) -> None:
    if options.minutes is None or options.trainer.max_epochs is not None:
        return
    if epochs is None:
        raise ValueError(
            f"minutes is {options.minutes:g}, which counts the epochs of a new training, and no "
            f"config.yaml beside {path} says how many this one has: give --trainer.max_epochs."
        )
    options.trainer.max_epochs = epochs
    rank_zero_info(f"epochs: {epochs} (as before; --trainer.max_epochs makes them more)")


def _init_args(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    return dict((config.get(key) or {}).get("init_args") or {})


def _nulls(options: Namespace, key: str, kind: type) -> list[str]:
    """The settings under "model" or "data" that are null and to be found."""
    arguments = (options.get(key) or Namespace()).get("init_args") or Namespace()
    given = arguments.as_dict()
    of_model = FOUND if issubclass(kind, IBINN) else ()
    names = FOUND_IN_DATA if key == "data" else of_model
    return [name for name in names if name in given and given[name] is None]


def _instantiated(data: Namespace) -> pl.LightningDataModule:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(pl.LightningDataModule, "data")
    return parser.instantiate_classes(Namespace(data=data.clone())).data


def _found_in_data(data: pl.LightningDataModule, name: str) -> tuple[Any, str]:
    """A setting of the data as they found it, and why."""
    assert isinstance(data, InMemoryDataModule)  # no others have these settings
    if name == "balanced":
        return data.draws_equally, find_balanced(data.dataset("train").labels)
    if name == "flip":
        return data.mirrors, data.recognition.describe("mirrored")
    if name == "max_shift":
        return data.moves_by, data.recognition.describe("moved")
    channels, side, _ = data.image_shape
    if name == "resolution":
        return side, "from the shorter sides of the files"
    return channels, "all files are grey" if channels == 1 else "not all files are grey"
