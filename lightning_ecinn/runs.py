"""Where a run lies: one folder each, never overwritten, and how to find one again."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

__all__ = ["find_checkpoint", "new_run_folder"]

_SHARED_FOLDER = "LIGHTNING_ECINN_RUN_FOLDER"


def new_run_folder(experiment: str, root: str | None) -> Path:
    """Make a folder for a new run; processes launched by this one share it.

    Args:
        experiment: name of the experiment.
        root: the user's choice; by default ``runs/<experiment>/<time>``.

    Returns:
        The absolute path: the folder asked for, or, where that already holds something, a new
        subfolder ``run-2``, ``run-3``, ... of it.
    """
    if shared := os.environ.get(_SHARED_FOLDER):
        return Path(shared)
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder = Path(root).expanduser() if root else Path("runs") / experiment / time
    folder = _claimed(folder.absolute())
    os.environ[_SHARED_FOLDER] = str(folder)
    return folder


def forget_run_folder() -> None:
    """The next run of this process gets a folder of its own."""
    os.environ.pop(_SHARED_FOLDER, None)


def find_checkpoint(which: str, experiment: str, root: str | None) -> Path:
    """The newest ``last.ckpt`` or ``best.ckpt`` of an experiment's runs.

    Args:
        which: "last" or "best".
        experiment: name of the experiment.
        root: where the runs lie; by default ``runs/<experiment>``.

    Raises:
        FileNotFoundError: if there is none.
    """
    folder = (Path(root).expanduser() if root else Path("runs") / experiment).absolute()
    found = sorted(folder.glob(f"**/checkpoints/{which}.ckpt"), key=lambda p: p.stat().st_mtime)
    if not found:
        raise FileNotFoundError(
            f"--ckpt_path {which}: there is no {which}.ckpt in any run below {folder}. Run `fit` "
            "first, give --trainer.default_root_dir of the run, or the path of a checkpoint."
        )
    return found[-1]


def _claimed(folder: Path) -> Path:
    """Make the folder, or a numbered subfolder of it if it is in use."""
    if not folder.exists() or not any(folder.iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    number = 2
    while True:
        try:
            (folder / f"run-{number}").mkdir()
            return folder / f"run-{number}"
        except FileExistsError:
            number += 1
