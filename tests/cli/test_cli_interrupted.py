"""Told to stop, a run saves the step it has reached; what goes on ends like the uninterrupted."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections import ChainMap
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image
from resuming import arguments, assert_same, last

from lightning_ecinn import Explainer
from lightning_ecinn.callbacks import CounterfactualGrid
from lightning_ecinn.cli.main import main
from lightning_ecinn.ecinn.inference import Session
from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.runs import STOPPED
from lightning_ecinn.training import IBINN

ROOT = Path(__file__).parents[2]
NO_SANITY = ["--trainer.num_sanity_val_steps=0"]

# Where the signal comes: what is called then, and what the last checkpoint's step is to be.
PLACES = {
    "in the first step": ("training_step", 0, 1),
    "in the middle of the second epoch": ("training_step", 13, 14),
    "in the last step of an epoch": ("training_step", 19, 20),
    "in the very last step": ("training_step", 29, 30),
    "in the first validation": ("validation_step", 0, 10),
    "in the last validation": ("validation_step", 2, 30),
}


@contextmanager
def signal_at(owner, name, number, signum=signal.SIGTERM):
    """Send a signal to this process from a method's so many-th call, sanity checks left out."""
    original, calls = getattr(owner, name), []

    def calling(*args, **kwargs):
        if not getattr(getattr(args[0], "_trainer", None), "sanity_checking", False):
            calls.append(None)
            if len(calls) == number + 1:
                os.kill(os.getpid(), signum)
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, calling)
        yield


@pytest.fixture(scope="module")
def uninterrupted(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    main(arguments(tiny, "onecycle", folder))
    return folder


def metrics(folder):
    """What a run wrote about each epoch."""
    path = folder / "metrics.json"
    if not path.exists():  # it was stopped in its first epoch
        return {}
    content = json.loads(path.read_text())
    return {line["epoch"]: line for line in content["epochs"]}


def assert_ended_the_same(folders, reference):
    """Whether a training in parts ended as one in one went, in all that it left."""
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "classifier"):
        assert_same(last(reference)[key], last(folders[-1])[key], key)
    assert last(folders[-1])["state_dict"]["classifier.class_counts"].sum() == 200
    assert_same(metrics(reference), dict(ChainMap(*map(metrics, folders[::-1]))), "metrics")


@pytest.mark.parametrize("place", PLACES)
def test_what_goes_on_ends_as_if_never_stopped(place, uninterrupted, tiny, tmp_path, capfd):
    method, number, step = PLACES[place]
    folder = tmp_path / "run"
    before = signal.getsignal(signal.SIGTERM)
    with signal_at(IBINN, method, number), pytest.raises(SystemExit) as stop:
        main(arguments(tiny, "onecycle", folder))
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert last(folder)["global_step"] == step
    said = capfd.readouterr().err.strip().splitlines()
    assert str(folder / "checkpoints" / "last.ckpt") in said[-3]
    assert said[-2].startswith("  go on:")
    assert said[-2].endswith("last.ckpt")
    assert said[-1].startswith("  or build its class means: python -m lightning_ecinn means")

    resumed = main([*arguments(tiny, "onecycle", folder), "--ckpt_path=last"]).run_folder
    assert_ended_the_same([folder, resumed], uninterrupted)


def test_stopped_after_the_class_means_were_built(tiny, tmp_path, capfd):
    folder = tmp_path / "run"
    grid = ["--trainer.callbacks.class_path=CounterfactualGrid"]
    grid += ["--trainer.callbacks.init_args.selection=every_class"]
    stopping = signal_at(CounterfactualGrid, "on_fit_end", 0)
    with stopping, pytest.raises(SystemExit) as stop:
        main([*arguments(tiny, "onecycle", folder), *grid])
    assert stop.value.code == 143
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-2].startswith("Stopped by SIGTERM: what comes after the class means is not finis")
    assert said[-1].startswith("  go on:")
    assert last(folder)["state_dict"]["classifier.class_counts"].sum() == 200


@pytest.mark.parametrize("number", [0, 1])
def test_stopped_while_class_means_are_built(number, uninterrupted, tiny, tmp_path, capfd):
    """Before anything of them is saved, and when those of the first file are."""
    folder = tmp_path / "run"
    stopping = signal_at(GenerativeClassifier, "folded", number)
    with stopping, pytest.raises(SystemExit) as stop:
        main(arguments(tiny, "onecycle", folder))
    assert stop.value.code == 143
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-3].startswith("Stopped by SIGTERM: the class means are not finished;")
    assert said[-1].startswith("  or build its class means: python -m lightning_ecinn means")
    resumed = main([*arguments(tiny, "onecycle", folder), "--ckpt_path=last"]).run_folder
    for name in ("last.ckpt", "best.ckpt"):
        files = [torch.load(run / "checkpoints" / name) for run in (uninterrupted, resumed)]
        assert_same(*[file["state_dict"] for file in files], name)


def test_stopped_in_the_test_after_fit(tiny, tmp_path, capfd):
    given = [*arguments(tiny, "onecycle", tmp_path / "run"), "--trainer.max_epochs=1"]
    with signal_at(IBINN, "test_step", 0), pytest.raises(SystemExit) as stop:
        main([*given, "--test_after_fit=true"])
    assert stop.value.code == 143
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-2] == "Stopped by SIGTERM: the training is finished, its test is not"
    assert said[-1].endswith(f"test --ckpt_path {tmp_path}/run/checkpoints/best.ckpt")


def test_a_requeued_job_goes_on_by_itself(uninterrupted, tiny, tmp_path, monkeypatch, caplog):
    """The same command three times, stopped in training and in validation."""
    job = {"JOB_ID": "123", "JOB_NAME": "train", "NTASKS": "1", "PROCID": "0", "LOCALID": "0"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(scontrol.parent), prepend=os.pathsep)

    folder = tmp_path / "run"
    for run, place in (
        (folder, ("training_step", 0)),
        (folder / "run-2", ("validation_step", 1)),
    ):
        with signal_at(IBINN, *place, signal.SIGUSR1), pytest.raises(SystemExit):
            main(arguments(tiny, "onecycle", folder))
        assert (run / STOPPED).exists()
    assert (tmp_path / "asked").read_text() == 2 * "requeue 123\n"

    other = main([*arguments(tiny, "onecycle", folder), "--model.beta=4", "--trainer.max_steps=1"])
    assert other.trainer.global_step == 1, "another configuration is another training"
    run = main(arguments(tiny, "onecycle", folder)).run_folder
    assert f"goes on from {folder}/run-2/checkpoints/last.ckpt" in caplog.text
    assert not (folder / "run-2" / STOPPED).exists(), "it is finished now"
    assert_ended_the_same([folder, folder / "run-2", run], uninterrupted)


def test_auto_begins_and_goes_on(uninterrupted, tiny, tmp_path, capfd, caplog):
    given = [*arguments(tiny, "onecycle", tmp_path / "run"), "--ckpt_path=auto"]
    with signal_at(IBINN, "training_step", 4, signal.SIGINT), pytest.raises(SystemExit) as stop:
        main(given)
    assert stop.value.code == 130
    assert "there is no last.ckpt yet, so training begins" in caplog.text
    broken = tmp_path / "run" / "run-9" / "checkpoints" / "last.ckpt"
    broken.parent.mkdir(parents=True)
    broken.write_bytes((tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()[:-100])
    cli = main(given)
    assert f"{broken} is left out: it is not whole" in capfd.readouterr().err
    assert_ended_the_same([tmp_path / "run", cli.run_folder], uninterrupted)


def test_auto_is_for_training(tiny, tmp_path, capfd):
    with pytest.raises(SystemExit):
        main(["test", "--config=smoke.yaml", *tiny, "--ckpt_path=auto"])
    assert "--ckpt_path auto is for `fit` alone" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_what_has_nothing_to_save_ends_at_once(command, trained, tiny, tmp_path, capfd):
    given = [command, "--config=smoke.yaml", *tiny, *trained.arguments[:-1]]
    given += [f"--ckpt_path={trained.folder}/checkpoints/best.ckpt", "--trainer.logger=false"]
    given += [f"--trainer.default_root_dir={tmp_path}/run"]
    with signal_at(Session, "encode", 0), pytest.raises(SystemExit) as stop:
        main(given)
    assert stop.value.code == 143
    assert "Stopped by SIGTERM: the command is not finished" in capfd.readouterr().err


def test_pictures_that_were_explained_stay(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for i in range(17):  # one more than are explained at a time
        Image.new("L", (28, 28), 10 * i).save(tmp_path / f"{i:02}.png")
    words = ["explain", "--ckpt_path=pretrained:mnist_small", str(tmp_path), "--no-page"]
    with signal_at(Explainer, "explain_steps", 1), pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 143
    said = capfd.readouterr().err.splitlines()
    folder = said[-2].partition("its results lie in ")[2]
    assert said[-2].startswith("Stopped by SIGTERM: the command is not finished; as far as it came")
    assert len(list(Path(folder).rglob("*.png"))) >= 16
    assert said[-1] == f"  again: python -m lightning_ecinn {shlex.join(words)}"


def test_means_that_are_stopped_leave_no_file(trained, tiny, tmp_path, capfd):
    out = tmp_path / "out.ckpt"
    given = ["means", "--config=smoke.yaml", *tiny, *trained.arguments[:-1], f"--out={out}"]
    given += [f"--ckpt_path={trained.folder}/checkpoints/best.ckpt"]
    given += [f"--trainer.default_root_dir={tmp_path}/run"]
    with signal_at(GenerativeClassifier, "folded", 0), pytest.raises(SystemExit) as stop:
        main(given)
    assert stop.value.code == 143
    said = capfd.readouterr().err
    assert "Stopped by SIGTERM: the command is not finished" in said
    assert "Traceback" not in said
    assert not out.exists()


@pytest.mark.slow
def test_two_processes_stop_at_the_same_step(tiny, tmp_path):
    """Where one of them is told; in training, then in validation, then it goes on to the end."""
    whole, parts = ([*arguments(tiny, "onecycle", tmp_path / n), *NO_SANITY] for n in "ab")
    go_on = [*parts, "--ckpt_path=last"]
    plan = [(whole, ""), (parts, "training_step:1"), (go_on, "validation_step:1"), (go_on, "")]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = Path(__file__).with_name("stopped_twice.py")
    command = [sys.executable, str(script), str(tmp_path / "plan.json")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    folders = [tmp_path / "b" / name for name in ("", "run-2", "run-3")]
    assert [last(folder)["global_step"] for folder in folders] == [2, 10, 15]
    assert_ended_the_same(folders, tmp_path / "a")
