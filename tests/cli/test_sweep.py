"""The subcommand that runs a `fit` for each value of an option."""

import csv
import json
import os
import signal
import sys
import threading
import zipfile

import pytest

from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.sweep_words import read_grid
from lightning_ecinn.commands import sweep as sweeping
from lightning_ecinn.commands.sweep import Sweep, read_sweep, sweep_checkpoints
from lightning_ecinn.commands.sweep_table import sweep_rows
from lightning_ecinn.interruption import WATCH

BETAS = ["--config=smoke.yaml", "--model.beta", "0.5", "2"]


class Fits:
    """In the place of processes: notes their commands, leaves what a `fit` does."""

    def __init__(self):
        self.commands = []
        self.statuses = {}
        self.leaves = ("best", "last")

    def __call__(self, command):
        self.commands.append(command)
        words = dict(word.partition("=")[::2] for word in command[4:])
        folder = sweeping.Path(words["--trainer.default_root_dir"])
        if "--ckpt_path" in words:  # a run that goes on has a folder of its own
            folder = folder / "run-2"
        (folder / "checkpoints").mkdir(parents=True)
        for name in self.leaves:
            with zipfile.ZipFile(folder / "checkpoints" / f"{name}.ckpt", "w") as file:
                file.writestr("x", "y")
        metrics = {"test/accuracy": 0.99, "test/bpd": 3.5, "test/other": None}
        (folder / "metrics.json").write_text(json.dumps({"latest": metrics}))
        return self.statuses.get(words["--model.beta"], 0)


@pytest.fixture
def fits(monkeypatch, tmp_path):
    """No process is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweeping, "_wait", fits := Fits())
    return fits


def test_every_combination_is_a_fit_in_a_folder_of_its_own(fits, tmp_path, capsys):
    main(["sweep", *BETAS, "--seed_everything", "0", "1", "--trainer.max_epochs", "2"])
    (folder,) = (tmp_path / "runs" / "smoke-sweep").iterdir()
    names = [f"beta={beta},seed_everything={seed}" for beta in ("0.5", "2") for seed in "01"]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == names
    assert fits.commands[1] == [
        sys.executable, "-m", "lightning_ecinn", "fit", "--config=smoke.yaml",
        "--trainer.max_epochs=2", "--test_after_fit=true", "--model.beta=0.5",
        "--seed_everything=1", f"--trainer.default_root_dir={folder / names[1]}",
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert "[4/4] model.beta 2 seed_everything 1, in " in out
    assert "beta  seed_everything  test error, %    bpd  minutes    status" in out
    assert "| 0.5 | 1 | 1.00 | 3.500 | 0.0 | finished |" in (folder / "sweep.md").read_text()
    rows = list(csv.DictReader((folder / "sweep.csv").open()))
    assert [row["model.beta"] for row in rows] == ["0.5", "0.5", "2", "2"]
    assert rows[0]["test/accuracy"] == "0.99"
    assert rows[0]["test/other"] == ""
    assert sweep_checkpoints(str(folder))[2] == str(folder / names[2] / "checkpoints" / "best.ckpt")


def test_a_failed_run_is_reported_and_the_others_run(fits, tmp_path, capsys):
    fits.statuses, fits.leaves = {"0.5": 2}, ()
    with pytest.raises(SystemExit) as stop:
        main(["sweep", *BETAS, "--out", "betas"])
    assert stop.value.code == 1
    said = capsys.readouterr()
    assert "beta=0.5 failed with exit status 2." in said.err
    assert (
        "Not finished: beta=0.5, see above. Try again: python -m lightning_ecinn sweep" in said.err
    )
    found = read_sweep(tmp_path / "betas")
    assert [run.status for run in found.runs] == ["failed", "finished"]
    assert len(fits.commands) == 2


def test_the_same_command_goes_on_where_it_was_stopped(fits, tmp_path):
    fits.statuses = {"2": 143}
    command = ["sweep", *BETAS, "--out=betas"]
    with pytest.raises(SystemExit):
        main(command)
    before = (tmp_path / "betas" / "beta=2" / "metrics.json").stat().st_mtime_ns
    assert [run.status for run in read_sweep(tmp_path / "betas").runs] == ["finished", "stopped"]
    fits.statuses = {}
    main(command)
    last = tmp_path / "betas" / "beta=2" / "checkpoints" / "last.ckpt"
    assert len(fits.commands) == 3  # the finished one is kept
    assert fits.commands[2][-1] == f"--ckpt_path={last}"
    assert before == (tmp_path / "betas" / "beta=2" / "metrics.json").stat().st_mtime_ns
    run = read_sweep(tmp_path / "betas").runs[1]
    assert (run.status, run.checkpoint) == ("finished", "beta=2/run-2/checkpoints/best.ckpt")
    main(command)
    assert len(fits.commands) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--config=smoke.yaml", "--model.beta", "0.5", "3"],
            "model.beta 0.5 2, not of model.beta",
        ),
        ([*BETAS, "--model.lr=0.1"], "give the same options to go on, or another --out."),
    ],
)
def test_another_sweep_in_its_folder_is_refused(words, said, fits, tmp_path, capsys):
    Sweep(
        tmp_path, ["--config=smoke.yaml", "--test_after_fit=true"], {"model.beta": ["0.5", "2"]}
    ).save()
    with pytest.raises(SystemExit):
        main(["sweep", *words, "--out", str(tmp_path)])
    assert said in capsys.readouterr().err
    assert not fits.commands


@pytest.mark.parametrize("text", ["{", "[]", '{"fit": [], "grid": {}, "runs": [{"name": "../x"}]}'])
def test_a_damaged_note_of_a_sweep_is_refused(text, tmp_path):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(ValueError, match="is no folder of a sweep"):
        read_sweep(tmp_path)


def test_a_stranger_cannot_lead_runs_elsewhere(tmp_path):
    sweep = Sweep(tmp_path, [], {"model.beta": ["1", "2"]})
    sweep.runs[0].name = "../elsewhere"
    sweep.save()
    with pytest.raises(ValueError, match="is no folder of a sweep"):
        read_sweep(tmp_path)


def test_a_folder_of_something_else_stays_as_it_is(fits, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit):
        main(["sweep", *BETAS, "--out", str(tmp_path)])
    assert "is there, and holds no sweep: give a new folder." in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "sweep: no option has several values; give one some, as in --model.beta 0.1 0.5 1"),
        (["--model.betta", "1", "2"], "model.betta: there is no such setting (did you mean beta?)"),
        (["--model.beta", "1", "x"], "error: model.beta: Expected a float. Got value: x"),
        (["--model.beta", "1", "1.0"], "--model.beta: 1.0 is given twice; give each value once."),
        (["--model.beta", "1", "2", "--model.beta", "3"], "several values, and again one alone"),
        (["--model.beta", "1", "2", "--model.beta", "3", "4"], "several values twice"),
        (["--outt=x", "--model.beta", "1", "2"], "--outt (did you mean --out?)"),
        (["--out", "--model.beta", "1", "2"], "--out has 0 values; give one folder"),
        (["--trainer.default_root_dir=x", "--model.beta", "1", "2"], "give --out."),
        (["--print_config", "--model.beta", "1", "2"], "ask python -m lightning_ecinn fit --print"),
        (["--ckpt_path=last", "--model.beta", "1", "2"], "a sweep's runs are new ones"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_runs(words, said, fits, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sweep", "--config=smoke.yaml", *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not fits.commands
    assert not list(tmp_path.iterdir())


def test_a_negative_number_is_a_value():
    fit, grid, out = read_grid(["-cx.yaml", "--model.a", "-1", "-.5", "2e-3", "--b"])
    assert (fit, grid, out) == (
        ["--config=x.yaml", "--b"],
        {"model.a": ["-1", "-.5", "2e-3"]},
        None,
    )


def test_values_that_no_folder_can_be_called_have_folders_of_their_own(tmp_path):
    names = [run.name for run in Sweep(tmp_path, [], {"data.root": ["a/b", "a:b"]}).runs]
    assert names == ["root=a-b", "root=a-b,2"]


def test_a_table_says_what_is_not_known(tmp_path):
    sweep = Sweep(tmp_path, [], {"model.beta": ["1", "3"]})
    sweep.runs[1].metrics = {"test/accuracy": 0.5, "test/bpd_paper": None}
    assert sweep_rows(sweep) == [
        ["beta", "test error, %", "minutes", "status"],
        ["1", "–", "0.0", "waiting"],
        ["3", "50.00", "0.0", "waiting"],
    ]


def test_a_run_is_no_part_of_another(monkeypatch):
    monkeypatch.setenv("LIGHTNING_ECINN_RUN_FOLDER", "x")
    code = "import os, sys; sys.exit(3 * ('LIGHTNING_ECINN_RUN_FOLDER' not in os.environ))"
    assert sweeping._wait([sys.executable, "-c", code]) == 3


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_signal_reaches_the_run_which_ends_as_it_wants(tmp_path):
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("ready", file=open("ready", "w"), flush=True)
time.sleep(60)
"""
    ready = tmp_path / "ready"
    command = [sys.executable, "-c", code.replace('"ready", "w"', f"{str(ready)!r}, 'w'")]

    def stop():
        while not ready.exists():
            threading.Event().wait(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    WATCH.start([signal.SIGTERM])
    try:
        threading.Thread(target=stop, daemon=True).start()
        assert sweeping._wait(command) == 143
        assert WATCH.received == signal.SIGTERM
    finally:
        WATCH.stop()
