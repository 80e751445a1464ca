"""A script's training that is told to stop, without the command line."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
import pytorch_lightning as pl
import torch
from bars import PlainBars, network, trainer
from torch.utils.data import DataLoader, TensorDataset

from lightning_ecinn import interruption, make_callbacks
from lightning_ecinn.interruption import WATCH, Interrupted, SignalWatch


class Send(pl.Callback):
    """Sends a signal to this process after so many steps, as often as is said."""

    def __init__(self, after, signum=signal.SIGTERM):
        self.after, self.signum, self.seen = after, signum, []

    def on_train_batch_start(self, trainer, *_):
        self.seen.append(trainer.global_step)
        if trainer.global_step == self.after:
            os.kill(os.getpid(), self.signum)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_step_is_finished_and_saved(signum, status, tmp_path):
    before = signal.getsignal(signum)
    send = Send(1, signum)
    one = trainer(tmp_path, send, *make_callbacks(), max_epochs=2)
    with pytest.raises(Interrupted) as stop:
        one.fit(network(), datamodule=PlainBars())
    assert stop.value.code == status
    assert send.seen == [0, 1]
    content = torch.load(stop.value.checkpoint, weights_only=True)
    assert content["global_step"] == 2
    assert os.path.basename(stop.value.checkpoint) == "last.ckpt"
    assert signal.getsignal(signum) == before
    assert not WATCH.is_on

    two = trainer(tmp_path / "two", *make_callbacks(), max_epochs=2)
    two.fit(network(), datamodule=PlainBars(), ckpt_path=stop.value.checkpoint)
    assert two.global_step == 10


def test_gradients_that_are_added_up_are_not_cut(tmp_path):
    one = trainer(tmp_path, Send(0), *make_callbacks(), accumulate_grad_batches=3)
    with pytest.raises(Interrupted) as stop:
        one.fit(network(), datamodule=PlainBars(80))
    content = torch.load(stop.value.checkpoint, weights_only=True)
    assert content["global_step"] == 1
    assert content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"] == 3


def test_without_a_last_checkpoint_nothing_is_saved(tmp_path):
    callbacks = make_callbacks()[:-1]
    with pytest.raises(Interrupted) as stop:
        trainer(tmp_path, Send(0), *callbacks).fit(network(), datamodule=PlainBars())
    assert stop.value.checkpoint is None
    assert list(tmp_path.rglob("*.ckpt")) == []


def test_in_another_thread_signals_are_left_alone(tmp_path):
    before, ended = signal.getsignal(signal.SIGTERM), []

    def fit():
        one = trainer(tmp_path, *make_callbacks(), max_steps=1)
        one.fit(network(), datamodule=PlainBars())
        ended.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert ended == [before]


@pytest.fixture
def watch():
    watch = SignalWatch()
    watch.start([signal.SIGUSR2, signal.SIGINT])
    yield watch
    watch.stop()


def test_a_signal_that_comes_twice_at_once_is_one(watch):
    watch.postpone()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    assert watch.received == signal.SIGINT
    watch.end_postponing()
    with pytest.raises(Interrupted):
        watch.check()


def test_ctrl_c_again_ends_it_at_once(watch, monkeypatch):
    watch.postpone()
    os.kill(os.getpid(), signal.SIGINT)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGINT)


def test_nothing_waits_unless_it_is_postponed(watch):
    with pytest.raises(Interrupted) as stop:
        os.kill(os.getpid(), signal.SIGUSR2)
    assert stop.value.code == 128 + signal.SIGUSR2


def test_forked_processes_die_of_signals_as_usual(watch):
    is_ready, says_so = os.pipe()
    if (child := os.fork()) == 0:
        os.write(says_so, b"!")
        time.sleep(30)
        os._exit(0)
    os.read(is_ready, 1)
    os.kill(child, signal.SIGUSR2)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGUSR2


def forked(child):
    """Fork; `child` says when it is ready and returns its status."""
    is_ready, says_so = os.pipe()
    if (process := os.fork()) == 0:
        os.write(says_so, b"!")
        os._exit(child())
    os.read(is_ready, 1)
    return process


def test_a_loaders_process_survives_ctrl_c_and_ends_well_after_it(watch, monkeypatch):
    """Torch takes a worker that dies for a fault, and the training would end before it is saved."""
    monkeypatch.setattr(interruption, "_PATIENCE", 0.1)
    watch.start([signal.SIGTERM])

    def sleep():
        end = time.monotonic() + 30
        while time.monotonic() < end:
            time.sleep(0.1)
        return 1

    process = forked(sleep)
    os.kill(process, signal.SIGINT)
    time.sleep(0.2)
    assert os.waitpid(process, os.WNOHANG) == (0, 0)
    os.kill(process, signal.SIGTERM)
    _, status = os.waitpid(process, 0)
    assert status == 0


def test_loaders_that_the_signal_reaches_too_end_no_step(tmp_path):
    """Two workers that are killed while the step is computed, as `scancel` does it."""

    class Kill(Send):
        def on_train_batch_start(self, trainer, *_):
            super().on_train_batch_start(trainer)
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGKILL)

    data = PlainBars(80)
    loader = DataLoader(data.train, batch_size=8, num_workers=2)
    one = trainer(tmp_path, Kill(0), *make_callbacks(), limit_val_batches=0)
    with pytest.raises(Interrupted) as stop:
        one.fit(network(), loader)
    assert torch.load(stop.value.checkpoint, weights_only=True)["global_step"] == 1


def test_what_is_ignored_stays_so():
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watch = SignalWatch()
    watch.start([signal.SIGHUP])
    try:
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        watch.stop()
        signal.signal(signal.SIGHUP, before)


def test_after_a_training_that_failed_signals_are_whose_they_were(tmp_path):
    class Failing(pl.Callback):
        def on_train_batch_start(self, *_):
            raise RuntimeError("a fault")

    before = signal.getsignal(signal.SIGINT)
    one = trainer(tmp_path, Failing(), *make_callbacks())
    with pytest.raises(RuntimeError, match="a fault"):
        one.fit(network(), datamodule=PlainBars())
    assert signal.getsignal(signal.SIGINT) == before
    assert not WATCH.is_on


def test_no_image_is_nothing_trained(tmp_path):
    empty = DataLoader(TensorDataset(torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.long)))
    with pytest.raises(ValueError, match="Nothing was trained: the data have no image"):
        trainer(tmp_path, *make_callbacks()).fit(network(), empty)
