"""A SLURM job that is started again goes on with what it was stopped in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lightning_ecinn.cli.config_files import read_config
from lightning_ecinn.runs import CONFIG, STOPPED, runs_folder

__all__ = ["find_stopped_run"]

_OF_ONE_RUN = (("ckpt_path",), ("trainer", "default_root_dir"))
"""What differs between a run and the one that goes on with it."""


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
    wanted = _without_run(yaml.safe_load(configuration))
    for note in runs_folder(experiment, root).glob(f"**/{STOPPED}"):
        try:
            content = dict(json.loads(note.read_text()))
            config = read_config(note.with_name(CONFIG), CONFIG).content
        except (OSError, TypeError, ValueError):  # it is of no run of ours
            continue
        checkpoint = Path(content.get("checkpoint") or "none")
        if content.get("job") == job and _without_run(config) == wanted and checkpoint.is_file():
            found.append((note.stat().st_mtime, note, checkpoint))
    return max(found)[1:] if found else None


def _without_run(content: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what one run alone has."""
    copied: dict[str, Any] = json.loads(json.dumps(content))
    for *parents, key in _OF_ONE_RUN:
        part = copied
        for parent in parents:
            part = part.get(parent, {})
        part.pop(key, None)
    return copied
