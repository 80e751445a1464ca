"""How checkpoints are read: each file once in a command, whoever asks for what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from lightning_ecinn import shipped
from lightning_ecinn.models.checkpoints import Checkpoint, read_checkpoint
from lightning_ecinn.models.files import read_weights
from lightning_ecinn.models.published import Published, read_published
from lightning_ecinn.training.lightning_entries import check_lightning_entries
from lightning_ecinn.whole_files import write_whole

__all__ = ["CheckpointFiles", "is_local"]

T = TypeVar("T")


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's reading and writing of checkpoints; what was read before is not read again.

    The command line looks into a checkpoint before there is a trainer, to build the network that
    it holds. That content is handed to whoever needs it next, once, and then forgotten.
    """

    def __init__(self) -> None:
        self._known: dict[Path, Any] = {}

    def look(self, ckpt_path: str, *entries: str) -> Checkpoint:
        """A checkpoint of one of the kinds, see :func:`read_checkpoint`; it is kept for later."""
        checkpoint = self._kept(ckpt_path, lambda: read_checkpoint(ckpt_path, *entries))
        checkpoint.check_kind(*entries)  # it may have been read as another kind
        return checkpoint

    def look_published(self, path: str) -> Published:
        """A checkpoint of the published code, see :func:`read_published`; it is kept for later."""
        return self._kept(path, lambda: read_published(path))

    def take(self, ckpt_path: str, *entries: str) -> Checkpoint:
        """What :meth:`look` gives, kept no longer."""
        checkpoint = self.look(ckpt_path, *entries)
        del self._known[_key(ckpt_path)]
        return checkpoint

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint that is whole under its name, or leave the one before."""
        if not is_local(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with write_whole(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What Lightning asks for; kept no longer."""
        known = self._known.pop(_key(path), None)
        if not is_local(path):
            return super().load_checkpoint(path, *args, **kwargs)
        if isinstance(known, Checkpoint):
            content = known.content
        else:
            remedy = "give one that `fit` wrote"
            content = read_weights(path, kind="a checkpoint of a trainer", remedy=remedy)
        check_lightning_entries(_key(path), content)
        return content

    def _kept(self, path: str, read: Callable[[], T]) -> T:
        key = _key(path)
        if key not in self._known:
            self._known[key] = read()
        return self._known[key]


def is_local(path: Any) -> bool:
    """Whether it is no address such as s3://..."""
    return "://" not in str(path)


def _key(path: Any) -> Path:
    return shipped.resolve(path).absolute()
