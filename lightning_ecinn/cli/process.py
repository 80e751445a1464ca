"""What a run does to its process: nothing that reaches the next one, and no noise on the screen."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_ecinn.cli.parsing import is_debugging
from lightning_ecinn.interruption import SIGNALS, WATCH
from lightning_ecinn.plain_text import plain

__all__ = [
    "describe_error",
    "end_wandb",
    "same_environment_afterwards",
    "watching_signals",
    "without_noise",
]

_IRRELEVANT_WARNINGS = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*Grad strides do not match bucket view strides.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*LightningCLI's args parameter is intended to run.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
)
_SERVICE = "WANDB_SERVICE"
"""Where W&B notes its process, for whoever begins another run."""
_IRRELEVANT_NOTES = ("💡 Tip", "Loading `train_dataloader` to estimate")


@contextmanager
def same_environment_afterwards() -> Iterator[None]:
    """What a run sets (seed, W&B, ranks, its folder) must not reach the next one."""
    before, had_run, exit_code = dict(os.environ), _has_wandb_run(), 1
    try:
        yield
        exit_code = 0
    finally:
        if not had_run:
            end_wandb(exit_code)
            if wandb := sys.modules.get("wandb"):
                wandb.teardown()  # the next run reads its own environment
                before.pop(_SERVICE, None)  # an earlier one's, which has ended with this
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def end_wandb(exit_code: int) -> None:
    """End the run of Weights & Biases, if there is one."""
    if _has_wandb_run():
        sys.modules["wandb"].finish(exit_code)


def _has_wandb_run() -> bool:
    # Who has not imported it, which takes a second, has no run.
    return getattr(sys.modules.get("wandb"), "run", None) is not None


@contextmanager
def watching_signals() -> Iterator[None]:
    """SIGINT and SIGTERM end a run properly; afterwards they are what they were."""
    was_on = WATCH.is_on
    WATCH.start(SIGNALS)
    try:
        yield
    finally:
        if not was_on:
            WATCH.stop()


def describe_error(error: Exception) -> str:
    """What an error says; of the system's, what and where instead of their number."""
    if isinstance(error, OSError) and error.filename is not None and error.args[1:]:
        own = str(error)
        return own if not own.startswith("[Errno") else f"{error.filename}: {error.strerror}."
    return str(error)


@contextmanager
def without_noise() -> Iterator[None]:
    """Hide notes of libraries that don't concern the user; show warnings as one sentence."""
    notes = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    with warnings.catch_warnings():
        for message in _IRRELEVANT_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        if not is_debugging():
            warnings.showwarning = _show_warning
        notes.addFilter(_is_relevant)
        try:
            yield
        finally:
            notes.removeFilter(_is_relevant)


def _is_relevant(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_IRRELEVANT_NOTES)


def _show_warning(message: Warning | str, *details: object, **more: object) -> None:
    print(f"warning: {plain(' '.join(str(message).split()))}", file=sys.stderr)
