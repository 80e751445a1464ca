"""A run that is told to stop saves what it has done, at the step it has reached."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import SLURMEnvironment
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.trainer.connectors.signal_connector import _SignalConnector
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from lightning_ecinn.callbacks.class_means import BuildClassMeans
from lightning_ecinn.callbacks.epoch_averages import put_averages, take_averages
from lightning_ecinn.callbacks.kept_checkpoints import checkpoint_callbacks
from lightning_ecinn.datamodules.batches.loader import ResumableLoader
from lightning_ecinn.figures.tables import as_json
from lightning_ecinn.interruption import AFTER_MEANS, SIGNALS, WATCH, Interrupted, find_job
from lightning_ecinn.runs import STOPPED
from lightning_ecinn.whole_files import write_whole

__all__ = ["StopOnSignal"]


class _NoSignals(_SignalConnector):
    """Lightning's handlers would use the network from inside a signal, where it may be in use."""

    def register_signal_handlers(self) -> None:
        """Register nothing."""


class StopOnSignal(pl.Callback):
    """Finish the step in hand, save ``last.ckpt`` and stop, when a signal says so.

    SIGINT (Ctrl-C), SIGTERM (SLURM, Kubernetes, ``kill``) and SIGHUP (a closed terminal) stop a
    training after the step, or the validation batch, that is computed when any process receives
    them; the training that goes on from ``last.ckpt`` ends as if it had never been stopped.
    Everything else they stop at once. Under SLURM the signal that asks for it
    (``#SBATCH --signal=SIGUSR1@90``) requeues the job too.

    The trainer's call ends with :class:`lightning_ecinn.interruption.Interrupted`, whose exit
    status is 130 for SIGINT and 143 for SIGTERM.

    Example:
        >>> trainer = pl.Trainer(callbacks=[StopOnSignal()], logger=False)
    """

    def __init__(self) -> None:
        self._is_ours = False
        self._requeue_signal: int | None = None
        self._averages: list[list[dict[str, Any]]] | None = None
        self._is_saving = False
        self._can_stop_validation = True
        self._is_trained = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Watch signals, unless the command line does already."""
        trainer._signal_connector = _NoSignals(trainer)
        self._is_ours = self._is_ours or not WATCH.is_on
        environment = trainer._accelerator_connector.cluster_environment
        if isinstance(environment, SLURMEnvironment) and environment.auto_requeue:
            self._requeue_signal = environment.requeue_signal
        requeue = [self._requeue_signal] if self._requeue_signal is not None else []
        WATCH.start([*SIGNALS, *requeue])

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave signals to whoever had them."""
        if self._is_ours:
            WATCH.stop()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on a signal waits for the end of a step."""
        WATCH.postpone()
        self._is_trained = False
        _fit_progress(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object
    ) -> None:
        """Stop here, unless the epoch ends or gradients are still being added up."""
        self._put_averages(trainer)
        loop = trainer.fit_loop.epoch_loop
        if not loop._num_ready_batches_reached() and not loop._should_accumulate():
            self._stop_if_told(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Processes can agree to stop after a batch where they have as many of them."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._put_averages(trainer)
        if trainer.world_size == 1:
            return
        count = sum(trainer.num_val_batches)
        most, fewest = self._greatest(trainer, count, -count)
        self._can_stop_validation = most == -fewest

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object
    ) -> None:
        """Stop here; the training that goes on validates from the beginning."""
        is_training = trainer.state.fn == "fit" and not trainer.sanity_checking
        if is_training and self._can_stop_validation and self._is_told(trainer):
            progress = trainer.fit_loop.epoch_loop.val_loop.batch_progress
            for part in (progress.total, progress.current):
                vars(part).update(ready=1, started=1, processed=0, completed=0)
            self._stop(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop between two epochs: what has just been saved is where to go on."""
        self._stop_if_told(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on a signal ends the run at once: the training is saved."""
        WATCH.end_postponing()
        self._is_trained = True
        self._is_told(trainer)
        WATCH.check()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Say where to go on; take the other processes along."""
        WATCH.end_postponing()
        if not isinstance(exception, Interrupted):
            if WATCH.received is not None and trainer.state.fn == "fit":
                WATCH.left = _last_checkpoint(trainer), "training"
            self.teardown(trainer, pl_module, "")
            return
        if trainer.state.fn == "fit":
            exception.unfinished = _unfinished(trainer) if self._is_trained else "training"
            exception.checkpoint = _last_checkpoint(trainer)
            if self._is_ours:  # the command line says it itself
                where = exception.checkpoint or "nowhere: no last checkpoint was saved"
                rank_zero_info(f"Stopped by {exception.name}; the training so far lies in {where}")
        if (launcher := trainer.strategy.launcher) is not None and hasattr(launcher, "procs"):
            launcher.kill(signal.SIGTERM)
        if trainer.is_global_zero:
            if find_job() is not None and trainer.state.fn == "fit":
                _leave_note(trainer, exception.checkpoint)
            if WATCH.received == self._requeue_signal:
                _requeue()
        self.teardown(trainer, pl_module, "")

    def state_dict(self) -> dict[str, Any]:
        """The averages of the epoch that is being stopped, if one is."""
        return {"averages": self._averages} if self._is_saving else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep them until the training goes on."""
        self._averages = state_dict.get("averages")

    def _put_averages(self, trainer: pl.Trainer) -> None:
        """Once, when the first step of a resumed epoch has logged: Lightning clears them then."""
        if self._averages is not None:
            put_averages(trainer, self._averages)
            self._averages = None

    def _stop_if_told(self, trainer: pl.Trainer) -> None:
        if self._is_told(trainer):
            self._stop(trainer)

    def _is_told(self, trainer: pl.Trainer) -> bool:
        """Whether any process has been told to stop; every process asks at the same step."""
        mine = int(WATCH.received or 0)
        told = int(self._greatest(trainer, mine)[0]) if trainer.world_size > 1 else mine
        if told and not mine:
            WATCH.receive(told)
        return told > 0

    def _greatest(self, trainer: pl.Trainer, *values: float) -> list[float]:
        """The greatest of each value over all processes."""
        tensor = torch.tensor(values, dtype=torch.float32, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(tensor, op=torch.distributed.ReduceOp.MAX)
        return tensor.tolist()

    def _stop(self, trainer: pl.Trainer) -> None:
        """Save the last checkpoint where there is to be one, then end the training."""
        self._averages = take_averages(trainer)
        self._is_saving = True
        try:
            for checkpoint in _last_checkpoints(trainer):
                checkpoint._save_last_checkpoint(trainer, checkpoint._monitor_candidates(trainer))
        finally:
            self._is_saving, self._averages = False, None
        WATCH.check()


def _fit_progress(trainer: pl.Trainer) -> None:
    """Count as many batches of a resumed epoch as done as its loader leaves out.

    Lightning has no loader's state loaded where a schedule has asked for its length before.
    """
    trainer.fit_loop._load_combined_loader_states()
    loader, progress = trainer.train_dataloader, trainer.fit_loop.epoch_loop.batch_progress
    if isinstance(loader, ResumableLoader) and loader.sampler.first:
        change = loader.sampler.first - progress.current.ready
        for name in ("ready", "started", "processed", "completed"):
            setattr(progress.current, name, getattr(progress.current, name) + change)


def _last_checkpoints(trainer: pl.Trainer) -> list[ModelCheckpoint]:
    return [callback for callback in checkpoint_callbacks(trainer) if callback.save_last]


def _last_checkpoint(trainer: pl.Trainer) -> str | None:
    paths = [callback.last_model_path for callback in _last_checkpoints(trainer)]
    return next((path for path in paths if os.path.isfile(path)), None)


def _unfinished(trainer: pl.Trainer) -> str:
    """What is left to do of a training that has ended."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    builders = [callback for callback in callbacks if isinstance(callback, BuildClassMeans)]
    is_built = bool(builders) and all(builder.is_done for builder in builders)
    return AFTER_MEANS if is_built else "class means"


def _leave_note(trainer: pl.Trainer, checkpoint: str | None) -> None:
    """For the job, should SLURM start it again."""
    note = as_json({"job": find_job(), "checkpoint": checkpoint})
    with write_whole(Path(trainer.default_root_dir) / STOPPED) as file:
        file.write(note.encode())


def _requeue() -> None:
    """Ask SLURM to start the job again, as Lightning does."""
    command = ["scontrol", "requeue", str(find_job())]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        rank_zero_warn(f"The job could not be requeued by {' '.join(command)}: {error}.")
    else:
        rank_zero_info(f"Requeued the job: {' '.join(command)}")
