"""A SLURM job that is started again goes on with what it was stopped in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lightning_ecinn.cli.config_files import read_config
from lightning_ecinn.runs import CONFIG, STOPPED, runs_folder
from lightning_ecinn.training.found import FOUND, FOUND_IN_DATA

__all__ = ["find_stopped_run"]

_OF_ONE_RUN = (("ckpt_path",), ("trainer", "default_root_dir"))
"""What differs between a run and the one that goes on with it."""

_FOUND = (
    ("trainer", "max_epochs"),
    *(("model", "init_args", name) for name in FOUND),
    *(("data", "init_args", name) for name in FOUND_IN_DATA),
)
"""What a run has found where its configuration was null."""


def find_stopped_run(
    job: str, configuration: str, experiment: str, root: str | None
) -> tuple[Path, Path] | None:
    """The newest run of this job and this configuration that a signal stopped.

    Args:
        job: SLURM's name of it.
        configuration: of the run that begins, as its ``config.yaml`` will say it.
        experiment: name of the experiment.
        root: where its runs lie; by default ``runs/<experiment>``.

    Returns:
        The note that the run has left, and the checkpoint to go on from; None where no run fits.
    """
    found = []
    wanted = yaml.safe_load(configuration)
    left_out = (*_OF_ONE_RUN, *(keys for keys in _FOUND if _is_null(wanted, keys)))
    wanted = _without(wanted, left_out)
    for note in runs_folder(experiment, root).glob(f"**/{STOPPED}"):
        try:
            content = dict(json.loads(note.read_text()))
            config = read_config(note.with_name(CONFIG), CONFIG).content
        except (OSError, TypeError, ValueError):  # it is of no run of ours
            continue
        checkpoint = Path(content.get("checkpoint") or "none")
        is_same = content.get("job") == job and _without(config, left_out) == wanted
        if is_same and checkpoint.is_file():
            found.append((note.stat().st_mtime, note, checkpoint))
    return max(found)[1:] if found else None


def _without(content: Mapping[str, Any], settings: Iterable[Sequence[str]]) -> dict[str, Any]:
    """A configuration without some settings, each given by its keys."""
    copied: dict[str, Any] = json.loads(json.dumps(content))
    for *parents, key in settings:
        _part(copied, parents).pop(key, None)
    return copied


def _is_null(content: dict[str, Any], keys: Sequence[str]) -> bool:
    part = _part(content, keys[:-1])
    return keys[-1] in part and part[keys[-1]] is None


def _part(content: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    for key in keys:
        content = content.get(key) or {}
    return content
