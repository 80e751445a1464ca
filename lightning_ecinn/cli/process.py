"""What a run does to its process: nothing that reaches the next one, and no noise on the screen."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import wandb

from lightning_ecinn.cli.parsing import is_debugging

__all__ = ["same_environment_afterwards", "without_noise"]

_IRRELEVANT_WARNINGS = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*LightningCLI's args parameter is intended to run.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
)
_IRRELEVANT_NOTES = ("💡 Tip", "Loading `train_dataloader` to estimate")


@contextmanager
def same_environment_afterwards() -> Iterator[None]:
    """What a run sets (seed, W&B, ranks, its folder) must not reach the next one."""
    before, had_run, exit_code = dict(os.environ), wandb.run is not None, 1
    try:
        yield
        exit_code = 0
    finally:
        if not had_run:
            if wandb.run is not None:
                wandb.finish(exit_code)
            wandb.teardown()  # the next run reads its own environment
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


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
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)
