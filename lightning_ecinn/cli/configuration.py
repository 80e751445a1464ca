"""A checkpoint is enough: the configuration that its run left beside it, or that ships with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pytorch_lightning.cli import ArgsType
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn import shipped
from lightning_ecinn.cli.config_files import find_config, read_config
from lightning_ecinn.cli.earlier import translate
from lightning_ecinn.cli.options import check_name
from lightning_ecinn.cli.words import find_values
from lightning_ecinn.commands.sweep import sweep_checkpoints
from lightning_ecinn.models.checkpoints import KINDS, read_checkpoint
from lightning_ecinn.runs import CONFIG, find_checkpoint

__all__ = ["add_configuration", "find_configuration"]

_COMMANDS = ("validate", "test", "predict", "means", "compare", "evaluate", "figures")
_COMMON = (
    "seed_everything",
    "experiment",
    "wandb_project",
    "wandb_checkpoint",
    "test_after_fit",
    "minutes",
    "trainer",
    "model",
    "data",
    "checkpoint",
    "class_means",
    "counterfactuals",
)
"""What every subcommand understands."""


def add_configuration(args: ArgsType) -> ArgsType:
    """The words of a command, after those the configuration of its checkpoint, if that is needed.

    A complete experiment given by ``--config`` is used as it is; files that only change one, and
    flags, change the checkpoint's.

    Raises:
        ValueError: a file that is asked for is not there, or is not what it should be.
    """
    if not isinstance(args, list) or not args or args[0] not in _COMMANDS:
        return args
    command, *words = args
    checkpoints = find_values(words, "--ckpt_path")
    if command == "figures" and not checkpoints:
        checkpoints = [json.dumps(sweep_checkpoints(one)) for one in find_values(words, "--sweep")]
    files = [find_config(value).content for value in find_values(words, "--config")]
    if not checkpoints or any(_is_complete(content) for content in files):
        return args
    found = _checkpoints(checkpoints[-1], words, files)
    path = next(filter(None, map(find_configuration, found)), None)
    if path is None:
        if not files and not find_values(words, "--data", "--model"):
            _refuse(found)
        return args
    rank_zero_info(f"Using the checkpoint's configuration {path}; --config and flags change it")
    found_there = read_config(path, f"The checkpoint's configuration {path}").content
    content = {key: value for key, value in found_there.items() if key in _COMMON}
    # This run has a folder of its own.
    (content.get("trainer") or {}).pop("default_root_dir", None)
    return [command, f"--config={yaml.safe_dump(translate(content), sort_keys=False)}", *words]


def _refuse(checkpoints: Sequence[Path]) -> None:
    """Say what is missing where nothing says what the data and the model are."""
    for path in checkpoints:
        read_checkpoint(path, *KINDS)
        raise ValueError(
            f"--ckpt_path {path}: there is no configuration beside it, neither its run's {CONFIG} "
            f"nor {path.stem}.config.yaml: give a complete experiment, as in --config mnist.yaml."
        )


def _checkpoints(given: str, words: Sequence[str], files: Sequence[dict[str, Any]]) -> list[Path]:
    """The checkpoints that are meant."""
    if given.startswith("["):
        several = list(map(str, yaml.safe_load(given)))
        if several[:1] not in (["last"], ["best"]):
            return [shipped.resolve(one).absolute() for one in several]
        given = several[0]
    if given not in ("last", "best"):
        return [shipped.resolve(given).absolute()]
    named = [file["experiment"] for file in files if "experiment" in file]
    experiment = ["experiment", *named, *find_values(words, "--experiment")][-1]
    check_name("experiment", experiment)
    root = [None, *find_values(words, "--trainer.default_root_dir")][-1]
    folder = [None, *find_values(words, "--checkpoint.dirpath")][-1]
    return [find_checkpoint(given, experiment, root, folder)]


def find_configuration(checkpoint: Path) -> Path | None:
    """Where a checkpoint's configuration lies: in its run, or beside it under its name."""
    run = checkpoint.parent.parent / CONFIG
    beside = checkpoint.with_suffix(".config.yaml")
    candidates = [run, beside] if checkpoint.parent.name == "checkpoints" else [beside]
    return next((path for path in candidates if path.is_file() and path.stat().st_size), None)


def _is_complete(content: dict[str, Any]) -> bool:
    """Whether data and a model are named."""
    parts = (content.get(key) for key in ("data", "model"))
    return all(isinstance(part, dict) and "class_path" in part for part in parts)
