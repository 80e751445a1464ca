"""Signals that end a run: at once where nothing is lost, else when what was done is saved."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

__all__ = ["AFTER_MEANS", "SIGNALS", "WATCH", "Interrupted", "SignalWatch", "find_job"]

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What Ctrl-C sends, what SLURM, Kubernetes and `kill` do, and what a closed terminal does."""

AFTER_MEANS = "what comes after the class means"
"""What is unfinished where training and class means are done: a judge, pictures."""

_PATIENCE = 5.0
"""Seconds until a forked process ends."""

_DELIVERED_TWICE = 1.0
"""Seconds in which a signal that comes again is the same one: launchers pass theirs on."""


class Interrupted(SystemExit):
    """A signal ended what was running.

    Uncaught, it ends the process with the status that shells expect: 128 and the signal's number.

    Args:
        signum: the signal.

    Attributes:
        checkpoint: path of the checkpoint to go on from, once there is one.
        unfinished: what was running: "training", or what comes after it.
    """

    def __init__(self, signum: int):
        super().__init__(128 + signum)
        self.name = signal.Signals(signum).name
        self.checkpoint: str | None = None
        self.unfinished = "command"


class SignalWatch:
    """Turns signals into :class:`Interrupted`, at once or, while postponed, when it suits.

    Example:
        >>> watch = SignalWatch()
        >>> watch.start([signal.SIGUSR2])
        >>> watch.postpone()
        >>> os.kill(os.getpid(), signal.SIGUSR2)
        >>> watch.received.name
        'SIGUSR2'
        >>> watch.stop()
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.left: tuple[str | None, str] | None = None
        """The checkpoint and what is unfinished, where a signal made something else of a run."""
        self._is_postponed = False
        self._since = 0.0
        self._process = 0
        self._previous: dict[int, Any] = {}

    @property
    def is_on(self) -> bool:
        """Whether signals are watched."""
        return bool(self._previous)

    def start(self, signals: Iterable[int]) -> None:
        """Watch these too, but for those that whoever started the process has ignored (``nohup``).

        Only the main thread of a process can; in others nothing happens.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        self._process = os.getpid()
        for signum in set(signals) - self._previous.keys():
            if signal.getsignal(signum) == signal.SIG_IGN:
                continue
            self._previous[signum] = signal.signal(signum, self._handle)

    def stop(self) -> None:
        """Leave signals to whoever had them before."""
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        self.__init__()  # type: ignore[misc]

    def postpone(self) -> None:
        """From now on only note what is received: whoever called looks at it where it suits."""
        self._is_postponed = True

    def end_postponing(self) -> None:
        """From now on a signal ends what is running at once."""
        self._is_postponed = False

    def check(self) -> None:
        """Raise :class:`Interrupted` if a signal was received."""
        if self.received is not None:
            stop = Interrupted(self.received)
            stop.checkpoint, stop.unfinished = self.left or (None, stop.unfinished)
            raise stop

    def receive(self, signum: int) -> None:
        """Note what another process has received."""
        self.received, self._since = signal.Signals(signum), time.monotonic()

    def _let_loaders_die(self) -> None:
        """The signal may have reached them too, and torch would end the step for that."""
        if hasattr(signal, "SIGCHLD") and signal.SIGCHLD not in self._previous:
            self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _nothing)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            _end_forked(signum)
            return
        is_first = self.received is None
        if not is_first and time.monotonic() - self._since < _DELIVERED_TWICE:
            return
        self.receive(signum)
        if not self._is_postponed:
            raise Interrupted(signum)
        if is_first:
            self._let_loaders_die()
            _say(f"{signal.Signals(signum).name}: finishing this step and saving ...")
        elif signum == signal.SIGINT:  # pressed again by somebody who won't wait
            raise Interrupted(signum)


WATCH = SignalWatch()
"""The process's."""


def find_job() -> str | None:
    """The SLURM job that this process is part of, as ``scontrol`` calls it; None elsewhere.

    A shell that SLURM has given to somebody is none: nothing is started again there.
    """
    is_shell = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if "SLURM_NTASKS" not in os.environ or is_shell:
        return None
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID')}"
    return os.environ.get("SLURM_JOB_ID")


def _nothing(*_: object) -> None:
    """Take no notice."""


def _end_forked(signum: int) -> None:
    """End a process that was forked from the one that watches, such as a data loader's.

    A terminal's Ctrl-C reaches them all: the first one decides, and takes them along. What ends
    them otherwise waits until the first one has saved: a loader that dies too early takes the
    training along before that.
    """
    if signum == signal.SIGTERM:
        threading.Thread(target=_exit_later, daemon=True).start()
    elif signum != signal.SIGINT:
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)


def _exit_later() -> None:
    time.sleep(_PATIENCE)
    os._exit(0)


def _say(text: str) -> None:
    """Print from inside a signal handler, where `print` may be in the middle of something."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        with suppress(OSError):  # the terminal may be gone
            os.write(2, f"\n{text}\n".encode())
