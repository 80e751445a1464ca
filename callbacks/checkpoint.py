"""Checkpoints of a run that may have been resumed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint, StochasticWeightAveraging
from pytorch_lightning.utilities import rank_zero_info, rank_zero_only, rank_zero_warn
from torch import Tensor

from lightning_ecinn.callbacks.kept_checkpoints import write_whole_files
from lightning_ecinn.models.files import read_weights
from lightning_ecinn.whole_files import write_whole

__all__ = ["RunCheckpoint"]


class RunCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, with a true last and a true best checkpoint, resumed or not.

    The last checkpoint is saved after every epoch; Lightning saves it only together with a better
    best one. A file name without fields, such as "best", is always the best one's: where several
    are kept (``save_top_k``) their names are their epochs and steps, and "best" is a link to the
    best of them.

    A resumed run has a folder of its own: the checkpoint it goes on from and the best ones so far
    are copied into it, so that "last" and "best" are about the whole training, there is always
    something to go on from, and nothing in the first run's folder changes.

    Example:
        >>> checkpoint = RunCheckpoint(monitor="val/accuracy", mode="max", filename="best")
        >>> trainer = pl.Trainer(callbacks=make_callbacks(checkpoint=checkpoint), logger=False)
    """

    _may_resume = False
    _link_name: str | None = None
    _link: Path | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Note whether this run trains: only then does it keep checkpoints."""
        super().setup(trainer, pl_module, stage)
        write_whole_files(trainer)
        self._may_resume = stage == "fit"
        if self.save_top_k not in (0, 1) and self.filename and "{" not in self.filename:
            self._link_name, self.filename = self.filename, None
            self.auto_insert_metric_name = True  # epoch=3-step=40, as Lightning names them

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the best if this is it, and the last in any case."""
        super().on_train_epoch_end(trainer, pl_module)
        if self.save_last and not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the last one again where the weights were averaged after it."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        super().on_train_end(trainer, pl_module)
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if self.save_last and any(isinstance(c, StochasticWeightAveraging) for c in callbacks):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Where files can't be linked the best one was copied: it has changed since."""
        self._name_best()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Begin the folder of a resumed run with the checkpoints of the first one.

        Raises:
            ValueError: the training has had more epochs or steps than it is now to have.
        """
        # Callbacks that try settings out restore checkpoints too, after this or at step 0.
        if not self._may_resume or checkpoint["global_step"] == 0:
            return
        self._may_resume = False
        source = Path(str(trainer.ckpt_path))
        _check_what_is_left(trainer, checkpoint, source)
        state = checkpoint["callbacks"].get(self.state_key, {})
        if state.get("dirpath") == self.dirpath or not source.is_file():
            return
        if self.save_last:
            name = self.format_checkpoint_name(_place(checkpoint), self.CHECKPOINT_NAME_LAST)
            self.last_model_path = self._own(trainer, source, name)
        if state:
            self._take_over_best(trainer, state, source.parent)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the files of the run that is resumed, if it has the same folder."""
        if state_dict["dirpath"] == self.dirpath:
            super().load_state_dict(state_dict)
            self._name_best()

    def _take_over_best(self, trainer: pl.Trainer, state: dict[str, Any], beside: Path) -> None:
        """Copy the best checkpoints of the first run as far as they are still what they were."""
        scores = state["best_k_models"] or {state["best_model_path"]: state["best_model_score"]}
        order = sorted(scores, key=scores.__getitem__, reverse=self.mode == "max")
        for name in order[: abs(self.save_top_k)]:  # -1 keeps all of its own, not all copies
            for path in (Path(name), beside / Path(name).name):  # the run may have been moved
                content = self._read(path, scores[name])
                if content is not None:
                    break
            else:
                continue
            has_fields = self.filename is not None and "{" in self.filename
            ours = str(path.name) if has_fields else self.format_checkpoint_name(_place(content))
            self.best_k_models[self._own(trainer, path, ours)] = scores[name]
        if self.best_k_models:
            ranked = [*self.best_k_models.items()]
            self.best_model_path, self.best_model_score = ranked[0]
            self.kth_best_model_path, self.kth_value = ranked[-1]
            self._name_best()

    def _read(self, path: Path, score: Tensor | None) -> dict[str, Any] | None:
        """A checkpoint, unless it is not there or another one by now, of another score."""
        if not path.is_file():
            return None
        try:
            content = read_weights(path, kind="a whole checkpoint", remedy="")
        except ValueError as error:
            rank_zero_warn(f"{error} It is not among the best ones any more.")
            return None
        state = content.get("callbacks", {}).get(self.state_key)
        is_same = state is None or state["current_score"] == score
        return content if is_same else None

    def _own(self, trainer: pl.Trainer, path: Path, name: str) -> str:
        """The file as one of this run's folder: itself, or a copy under a name that is free."""
        folder = Path(str(self.dirpath))
        if path.resolve().parent == folder.resolve():
            return str(folder / path.resolve().name)
        stem, number = str(folder / name).removesuffix(self.FILE_EXTENSION), self.STARTING_VERSION
        target = f"{stem}{self.FILE_EXTENSION}"
        while self.file_exists(target, trainer):
            target = f"{stem}{self.CHECKPOINT_JOIN_CHAR}v{number}{self.FILE_EXTENSION}"
            number += 1
        _copy(path, Path(target))
        trainer.strategy.barrier("copied, before the next name is looked for")
        return target

    def _save_checkpoint(self, trainer: pl.Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        self._name_best()

    @rank_zero_only
    def _name_best(self) -> None:
        """Let the name that was asked for mean the best one of several; no file is replaced."""
        best = Path(self.best_model_path)
        if self._link_name is None or not best.is_file():
            return
        link, number = self._link or best.with_name(f"{self._link_name}.ckpt"), 1
        while link != self._link and link.exists() and not link.is_symlink():
            link = best.with_name(f"{self._link_name}-v{number}.ckpt")
            number += 1
        self._link = link
        if not link.is_symlink() or link.resolve() != best.resolve():
            _point(link, best)


def _point(link: Path, file: Path) -> None:
    """Let a name beside a file lead to it, in one step."""
    part = link.with_name(f".{link.name}.part")
    part.unlink(missing_ok=True)
    try:
        part.symlink_to(file.name)
    except OSError:  # not every file system can
        _copy(file, link)
    else:
        os.replace(part, link)


def _place(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What names of files may say of a checkpoint."""
    return {"epoch": checkpoint["epoch"], "step": checkpoint["global_step"]}


def _check_what_is_left(trainer: pl.Trainer, checkpoint: dict[str, Any], path: Path) -> None:
    """Say it if nothing is left to train; refuse to go on to where the training was long ago."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    more = any(isinstance(c, StochasticWeightAveraging) for c in callbacks)  # an epoch of its own
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    reached = None
    for name, done, limit, allowed in (
        ("epochs", epochs, trainer.max_epochs, more),
        ("steps", checkpoint["global_step"], trainer.max_steps, 0),
    ):
        if limit in (None, -1) or done < limit:
            continue
        if done > limit + allowed:
            raise ValueError(
                f"--trainer.max_{name} is {limit}, but the training in {path} has had {done} {name}"
                f" already: give more than {done} to go on, {done} to complete its files, or "
                "another --ckpt_path."
            )
        reached = name, done
    if reached is not None:
        rank_zero_info(
            f"Nothing is left to train: the training in {path} has had its {reached[1]} "
            f"{reached[0]}. To go on, give a larger --trainer.max_{reached[0]}."
        )


@rank_zero_only
def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file, write_whole(target) as copy:
        shutil.copyfileobj(file, copy)
