"""What is said when another process of a run has gone."""

import logging
import pickle

import pytest
import torch

from lightning_ecinn.cli.lost_process import describe_loss, is_lost_process, saying_lost_processes

GLOO = RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:9113.")
OBSERVER = logging.getLogger("lightning_fabric.strategies.launchers.subprocess_script")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run with a checkpoint, as the processes of a run know it."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    monkeypatch.setenv("LIGHTNING_ECINN_RUN_FOLDER", str(tmp_path))
    for name in ("RANK", "LOCAL_RANK", "LIGHTNING_ECINN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("error", "is_lost"),
    [
        (GLOO, True),
        (torch.distributed.DistBackendError("NCCL communicator was aborted"), True),
        (torch.distributed.DistNetworkError("Broken pipe"), True),
        (torch.multiprocessing.ProcessExitedException("terminated", 0, 1, 137, "SIGKILL"), True),
        (RuntimeError("mat1 and mat2 must have the same dtype"), False),
        (ValueError("the file is in gloomy.npz, a pipe: broken"), False),
    ],
)
def test_what_is_a_lost_process(error, is_lost):
    assert is_lost_process(error) is is_lost


def test_a_training_is_told_how_to_go_on(run):
    words = ["fit", "--config", "a b.yaml", "--ckpt_path", "old.ckpt", "--trainer.devices=5"]
    reason, command = describe_loss(words, str(run)).splitlines()
    assert reason.startswith("error: another process of this run has gone")
    assert command.endswith(
        "python -m lightning_ecinn fit --config 'a b.yaml' --trainer.devices=5 --ckpt_path last"
    )
    assert describe_loss(["test"], str(run)).endswith("Run the command again.")
    (run / "checkpoints" / "last.ckpt").unlink()
    assert "No checkpoint was saved" in describe_loss(words, str(run))
    assert "\n" not in describe_loss(words, None)


def test_what_torch_says_is_shown_unless_it_says_no_more(run):
    shown = describe_loss(["test"], str(run), "NCCL error: out of ports\nC++ stack")
    assert "Noticed by: NCCL error: out of ports. Run the command again." in shown
    assert describe_loss(["test"], str(run), str(GLOO)) == describe_loss(["test"], str(run))


def test_one_process_says_it_without_a_traceback(run, capsys):
    with pytest.raises(SystemExit) as stop, saying_lost_processes(["fit"]):
        raise GLOO
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 2
    assert "--ckpt_path last" in error


@pytest.mark.parametrize("rank", ["LOCAL_RANK", "RANK"])
def test_the_others_are_silent(run, monkeypatch, capsys, rank):
    monkeypatch.setenv(rank, "1")
    with pytest.raises(SystemExit), saying_lost_processes(["fit"]):
        raise GLOO
    assert not capsys.readouterr().err


def test_the_second_speaks_where_the_first_has_gone(run, monkeypatch, capsys):
    parents = iter([7, 1])
    monkeypatch.setattr("os.getppid", lambda: next(parents))
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SystemExit), saying_lost_processes(["fit"]):
        raise GLOO
    assert "--ckpt_path last" in capsys.readouterr().err


def test_lightnings_words_for_a_dead_child_are_replaced(run, capsys, caplog):
    caplog.set_level(logging.INFO)
    with saying_lost_processes(["fit"]):
        OBSERVER.info("[rank: 1] Child process with PID 7 terminated with code -9. Forcefully ...")
        OBSERVER.info("another thing")
    assert capsys.readouterr().err.count("error: another process") == 1
    assert "PID" not in caplog.text
    assert "another thing" in caplog.text
    OBSERVER.info("[rank: 1] Child process with PID 7 terminated")
    assert "PID 7" in caplog.text, "only meanwhile"


def test_other_errors_pass_and_debugging_shows_all(run, monkeypatch):
    with pytest.raises(ValueError, match="mine"), saying_lost_processes(["fit"]):
        raise ValueError("mine")
    monkeypatch.setenv("LIGHTNING_ECINN_DEBUG", "1")
    with pytest.raises(RuntimeError, match="closed by peer"), saying_lost_processes(["fit"]):
        raise GLOO


TRACE = """

-- Process 1 terminated with the following error:
Traceback (most recent call last):
  File "spawn.py", line 88, in _wrap
    fn(i, *args)
{}
"""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            torch.multiprocessing.ProcessRaisedException(
                TRACE.format("ValueError: This network has no class means: build them."), 1, 2
            ),
            "error: This network has no class means: build them.",
        ),
        (
            torch.multiprocessing.ProcessRaisedException(
                TRACE.format("lightning_ecinn.whole_files.WriteError: x.npz: No space left."), 1, 2
            ),
            "error: x.npz: No space left.",
        ),
        (pickle.PicklingError("Can't pickle <lambda>"), "--trainer.strategy: a spawned process"),
    ],
)
def test_mistakes_of_forked_processes_are_one_sentence(run, capsys, error, message):
    with pytest.raises(SystemExit) as stop, saying_lost_processes(["predict"]):
        raise error
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_faults_of_forked_processes_keep_their_traceback(run):
    error = torch.multiprocessing.ProcessRaisedException(TRACE.format("KeyError: 'x'"), 1, 2)
    with pytest.raises(torch.multiprocessing.ProcessRaisedException), saying_lost_processes([]):
        raise error
