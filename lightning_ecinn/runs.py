"""Where a run lies: one folder each, never overwritten, and how to find one again."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zipfile import is_zipfile

import yaml

__all__ = [
    "CONFIG",
    "STOPPED",
    "discard_unused_run_folder",
    "find_checkpoint",
    "forget_run_folder",
    "name_models",
    "new_run_folder",
    "runs_folder",
    "shared_run_folder",
]

CONFIG = "config.yaml"
STOPPED = "stopped.json"
"""Left in a run that a signal stopped, under SLURM: the job, and the checkpoint to go on from."""
RUNS = "runs"
_SHARED_FOLDER = "LIGHTNING_ECINN_RUN_FOLDER"
_SHARED_CHECKPOINT = "LIGHTNING_ECINN_CHECKPOINT"


def new_run_folder(experiment: str, root: str | None, make: bool = True) -> Path:
    """Make a folder for a new run; processes launched by this one share it.

    Args:
        experiment: name of the experiment.
        root: the user's choice; by default ``runs/<experiment>/<time>``.
        make: only the first process of a run makes its folder; the others don't write there.

    Returns:
        The absolute path: the folder asked for, or, where that already holds something, a new
        subfolder ``run-2``, ``run-3``, ... of it.

    Raises:
        NotADirectoryError: the folder asked for, or one above it, is a file.
    """
    if shared := shared_run_folder():
        return Path(shared)
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder = Path(root).expanduser() if root else Path(RUNS) / experiment / time
    folder = folder.absolute()
    if make:
        folder = _claimed(folder)
        os.environ[_SHARED_FOLDER] = str(folder)
    return folder


def shared_run_folder() -> str | None:
    """The run's folder as processes that are launched from now on know it, if it is made yet."""
    return os.environ.get(_SHARED_FOLDER)


def forget_run_folder() -> None:
    """The next run of this process gets a folder of its own."""
    for name in (_SHARED_FOLDER, _SHARED_CHECKPOINT):
        os.environ.pop(name, None)


def discard_unused_run_folder() -> None:
    """Remove the folder of a run that failed before it wrote anything."""
    if (shared := shared_run_folder()) is None:
        return
    folder = Path(shared)
    config = folder / CONFIG
    if list(folder.iterdir()) == [config] and not config.stat().st_size:
        config.unlink()
        folder.rmdir()
        experiment, runs = folder.parents[:2]
        for above in (experiment, runs) if runs.name == RUNS else ():
            if not any(above.iterdir()):
                above.rmdir()


def runs_folder(experiment: str, root: str | None) -> Path:
    """Where the runs of an experiment lie: the user's choice, or ``runs/<experiment>``."""
    return (Path(root) if root else Path(RUNS) / experiment).expanduser().absolute()


def find_checkpoint(
    which: str, experiment: str, root: str | None, checkpoints: str | None = None
) -> Path:
    """The newest whole ``last.ckpt`` or ``best.ckpt`` of an experiment's runs.

    Processes launched by this one find the same, whatever is saved in the meantime. A file that is
    left out, because only a part of it was written, is named in a warning.

    Args:
        which: "last" or "best".
        experiment: name of the experiment.
        root: where the runs lie; by default ``runs/<experiment>``.
        checkpoints: where the checkpoints lie, if not in their run's folder.

    Raises:
        FileNotFoundError: if there is none.
    """
    if shared := os.environ.get(_SHARED_CHECKPOINT):
        return Path(shared)
    if checkpoints:
        folder, pattern = Path(checkpoints).expanduser().absolute(), f"{which}*.ckpt"
    else:
        folder, pattern = runs_folder(experiment, root), f"**/checkpoints/{which}*.ckpt"
    for path in sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True):
        if is_zipfile(path):
            os.environ[_SHARED_CHECKPOINT] = str(path)
            return path
        warnings.warn(f"{path} is left out: it is not whole.", stacklevel=2)
    raise FileNotFoundError(
        f"--ckpt_path {which}: there is no {which}.ckpt in any run below {folder}. Run `fit` "
        "first, give --trainer.default_root_dir of the run, or the path of a checkpoint."
    )


def name_models(paths: Sequence[str]) -> list[str]:
    """The experiment of the run that a checkpoint lies in, else the file's name; no name twice."""
    names: list[str] = []
    for path in map(Path, paths):
        config = path.parent.parent / CONFIG
        is_run = path.parent.name == "checkpoints" and config.is_file()
        name = _experiment(config) if is_run else None
        name = base = name or path.stem
        number = 2
        while name in names:
            name, number = f"{base} {number}", number + 1
        names.append(name)
    return names


def _claimed(folder: Path) -> Path:
    """Make the folder, or a numbered subfolder of it if it is in use.

    Creating its config.yaml, still empty, claims it: only one process can succeed in that.
    """
    if files := [path for path in (folder, *folder.parents) if path.is_file()]:
        raise NotADirectoryError(f"{files[0]} is a file: give a folder, new or there already.")
    candidate, number = folder, 1
    while True:
        candidate.mkdir(parents=True, exist_ok=True)
        try:
            if not any(candidate.iterdir()):
                (candidate / CONFIG).touch(exist_ok=False)
                return candidate
        except FileExistsError:  # another process was faster
            pass
        number += 1
        candidate = folder / f"run-{number}"


def _experiment(config: Path) -> str | None:
    try:
        return str(yaml.safe_load(config.read_text())["experiment"])
    except (yaml.YAMLError, KeyError, TypeError, OSError):
        return None  # not a run of ours
