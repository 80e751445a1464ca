"""A killed training, resumed, ends where the uninterrupted one ends: bit for bit."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from resuming import SCHEDULES, arguments, assert_same, last

from lightning_ecinn.cli.main import main

ROOT = Path(__file__).parents[2]
# Slow enough to be caught in the middle of its second epoch.
SLOW = """
import sys, time
from lightning_ecinn.training import IBINN
training_step = IBINN.training_step
def slowly(self, batch, batch_idx):
    if self.current_epoch == 1 and batch_idx == 3:
        print("in the middle", flush=True)
        time.sleep(600)
    return training_step(self, batch, batch_idx)
IBINN.training_step = slowly
from lightning_ecinn.cli.main import main
main()
"""


@pytest.fixture(scope="module", params=SCHEDULES)
def uninterrupted(request, tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    main(arguments(tiny, request.param, folder))
    return request.param, folder


def test_killed_in_the_middle_of_an_epoch(uninterrupted, tiny, tmp_path):
    schedule, whole = uninterrupted
    folder = tmp_path / "run"
    command = [sys.executable, "-c", SLOW, *arguments(tiny, schedule, folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 300
        while "in the middle" not in (tmp_path / "output").read_text():
            assert process.poll() is None, (tmp_path / "output").read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
    finally:
        process.kill()  # SIGKILL: nothing can be tidied up
        process.wait()
    assert last(folder)["global_step"] == 10
    before = {path: path.read_bytes() for path in folder.glob("checkpoints/*")}

    cli = main([*arguments(tiny, schedule, folder), "--ckpt_path=last"])
    assert cli.run_folder == folder / "run-2"
    resumed, reference = last(cli.run_folder), last(whole)
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "classifier"):
        assert_same(reference[key], resumed[key], key)
    assert reference["state_dict"]["classifier.class_counts"].sum() == 200
    assert {path: path.read_bytes() for path in before} == before, "the first run was changed"

    best = [
        torch.load(path / "checkpoints" / "best.ckpt", weights_only=True)
        for path in (whole, cli.run_folder)
    ]
    assert_same(best[0]["state_dict"], best[1]["state_dict"], "best")


def test_the_best_of_the_first_part_stays_the_best(tiny, tmp_path):
    """Training goes on with a senseless learning rate: the best model lies before that."""
    given = [*arguments(tiny, "multistep", tmp_path / "run"), "--model.milestones=[1]"]
    first = main([*given, "--trainer.max_epochs=1"]).run_folder
    before = (first / "checkpoints" / "best.ckpt").read_bytes()
    cli = main([*given, "--model.gamma=1000", f"--ckpt_path={first}/checkpoints/last.ckpt"])
    best = cli.run_folder / "checkpoints" / "best.ckpt"
    assert cli.trainer.checkpoint_callback.best_model_path == str(best)
    assert last(cli.run_folder)["global_step"] == 30, "last means last, not best"
    state = torch.load(best, weights_only=True)
    assert state["global_step"] == 10
    assert state["state_dict"]["classifier.class_counts"].sum() == 200
    assert (first / "checkpoints" / "best.ckpt").read_bytes() == before
