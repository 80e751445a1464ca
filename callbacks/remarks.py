"""What a run could not do without failing: said when it happens, and again at its end."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_warn

from lightning_ecinn.plain_text import plain

__all__ = ["Remark", "going_on", "reason_of", "remark", "take_remarks"]


@dataclass(frozen=True)
class Remark:
    """One sentence.

    Attributes:
        text: the sentence.
        fails: whether the command has nothing else to show, so that it ends with an error.
    """

    text: str
    fails: bool = False


_REMARKS: dict[str, list[Remark]] = {}
"""By the folder of the run, for whoever says farewell to it."""


def remark(trainer: pl.Trainer, text: str, *, fails: bool = False) -> None:
    """Warn now, once, and remember it for the end of the run.

    Args:
        trainer: whose run it is.
        text: one sentence; what acts on a terminal is escaped.
        fails: whether this was all that the command was to do.
    """
    said = _REMARKS.setdefault(_key(trainer.default_root_dir), [])
    new = Remark(plain(" ".join(text.split())), fails)
    if trainer.is_global_zero and new not in said:
        said.append(new)
        rank_zero_warn(new.text)


def take_remarks(folder: Path | str) -> list[Remark]:
    """What was remarked about the run of a folder, in order, and forgotten by this."""
    return _REMARKS.pop(_key(folder), [])


@contextmanager
def going_on(trainer: pl.Trainer, failure: str) -> Iterator[None]:
    """What may fail without ending the run: a failure becomes a remark.

    Args:
        trainer: whose run it is.
        failure: what has then not happened, such as "heatmaps could not be drawn".
    """
    try:
        yield
    except Exception as error:
        if os.environ.get("LIGHTNING_ECINN_DEBUG"):
            traceback.print_exc()
        remark(trainer, f"{failure}: {reason_of(error)}")


def reason_of(error: Exception) -> str:
    """An error as the end of a sentence: of users' mistakes and files what they say, else its kind.

    Only the beginning of long messages.
    """
    text = " ".join(str(error).split())[:300]
    if isinstance(error, ValueError | OSError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _key(folder: Path | str) -> str:
    return os.path.abspath(folder)
