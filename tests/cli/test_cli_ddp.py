"""Several real processes through the command line: they finish, write once, and agree with one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_mnist import write_bars

ROOT = Path(__file__).parents[2]
FIVE = ["--trainer.devices=5", "--trainer.strategy=ddp"]
PLAN = {
    (1, 1): ("test", "predict", "evaluate"),
    (1, 5): ("test", "predict", "evaluate", "fit"),
    (13, 1): ("test", "predict", "evaluate", "means", "compare"),
    (13, 2): ("test", "predict"),
    (13, 5): ("test", "predict", "evaluate", "means", "compare"),
}
"""What is run, by the number of images to test and that of processes."""


def python(folder, *words):
    """Run an interpreter in `folder`; what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_fit_as_the_user_runs_it(tiny, tmp_path):
    shown = python(tmp_path, "-m", "lightning_ecinn", "fit", "--config=smoke.yaml", *tiny, *FIVE)
    assert shown.count("wandb sync") == 1
    assert shown.count("This run lies in") == 1
    assert shown.count("MNIST: train 200") == 1

    (run,) = (tmp_path / "runs" / "smoke").iterdir()
    assert not list(run.glob("run-*"))
    assert len(list(run.glob("wandb/offline-run-*"))) == 1
    names = sorted(path.name for path in run.glob("pictures/*"))
    assert [name for name in names if "samples" in name] == ["samples-epoch001.png"]
    assert len(names) <= 2
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["epochs"][0]["step"] == 2  # 200 images in batches of 20 on each of five
    assert 0 <= metrics["latest"]["test/accuracy"] <= 1
    for name in ("best", "last"):
        path = run / "checkpoints" / f"{name}.ckpt"
        counts = torch.load(path, weights_only=True)["state_dict"]["classifier.class_counts"]
        assert counts.sum() == 200, "each image once"


def words(command, folder, tiny, data, count, checkpoint):
    """A command on few images: fewer training images than five processes where `count` is 1."""
    few = ["--data.eval_batch_size=3", f"--data.root={data}", f"--data.val_size={count}"]
    limits = [f"--trainer.limit_{name}_batches=null" for name in ("val", "test")]
    shared = ["--config=smoke.yaml", *tiny, *few, *limits, "--trainer.logger=false"]
    shared += ["--trainer.callbacks=null", f"--trainer.default_root_dir={folder / command}"]
    more = {
        "predict": ["--model.predict_target=3"],
        "evaluate": [
            "--batch_size=4",
            "--alphas=[convincing]",
            "--bootstrap=5",
            "--deletion=0",
            "--pages=false",
        ],
        "compare": ["--count=1", "--measure=2", "--methods=[ecinnh]"],
    }
    trained = [f"--ckpt_path={checkpoint}"] if command != "fit" else []
    return [command, *shared, *trained, *more.get(command, [])]


@pytest.fixture(scope="module")
def runs(trained, tiny, tmp_path_factory):
    """Folders of what was run, by the number of images and that of processes."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    folder = tmp_path_factory.mktemp("runs")
    checkpoint = trained.folder / "checkpoints" / "best.ckpt"
    data = {n: write_bars(folder / f"data{n}", num_train=3 * n, num_test=n) for n in (1, 13)}
    found = {case: folder / f"{case[0]}-{case[1]}" for case in PLAN}
    plan = [
        (world, [words(c, found[n, world], tiny, data[n], n, checkpoint) for c in commands])
        for (n, world), commands in PLAN.items()
    ]
    (folder / "plan.json").write_text(json.dumps(plan))
    python(folder, str(Path(__file__).with_name("forked.py")), "plan.json")
    return found


def several(command):
    """The cases in which several processes run a command."""
    cases = [case for case, commands in PLAN.items() if case[1] > 1 and command in commands]
    return pytest.mark.parametrize(("count", "world"), cases)


@pytest.mark.slow
@several("test")
def test_several_processes_write_what_one_writes(runs, count, world):
    for command in set(PLAN[count, 1]) & set(PLAN[count, world]):
        one, many = (
            {path.relative_to(runs[count, n]) for path in (runs[count, n] / command).rglob("*")}
            for n in (1, world)
        )
        assert one == many
        assert len(one) > 1


@pytest.mark.slow
@several("test")
def test_metrics_count_each_image_once(runs, count, world):
    one, many = (
        json.loads((runs[count, n] / "test" / "metrics.json").read_text())["latest"]
        for n in (1, world)
    )
    assert {"test/validity", "test/bpd"} < one.keys()
    assert many == pytest.approx(one, rel=1e-6, abs=1e-6)


@pytest.mark.slow
@several("predict")
def test_predictions_are_the_same_to_the_last_bit(runs, count, world):
    path = Path("predict") / "counterfactuals.npz"
    with np.load(runs[count, 1] / path) as one, np.load(runs[count, world] / path) as many:
        assert one.files == many.files
        assert len(one["inputs"]) == count
        for name in one.files:
            assert np.array_equal(one[name], many[name]), name


@pytest.mark.slow
@several("means")
def test_means_and_counts_are_the_same(runs, count, world):
    path = Path("means") / "checkpoints" / "best.ckpt"
    one, many = (
        torch.load(runs[count, n] / path, weights_only=True)["state_dict"] for n in (1, world)
    )
    assert one["classifier.class_counts"].sum() == 2 * count
    assert all(torch.equal(one[name], many[name]) for name in one)


@pytest.mark.slow
@several("evaluate")
def test_evaluations_are_the_same(runs, count, world):
    one, many = (runs[count, n] / "evaluate" for n in (1, world))
    table = (one / "counterfactuals.csv").read_text()
    assert table == (many / "counterfactuals.csv").read_text()
    assert table.count("\n") == count + 1
    found = [json.loads((folder / "evaluation.json").read_text()) for folder in (one, many)]
    for part in found:
        for measures in part["measures"].values():
            del measures["seconds"]
    assert found[0] == found[1]


@pytest.mark.slow
@several("compare")
def test_comparisons_are_the_same(runs, count, world):
    one, many = (runs[count, n] / "compare" / "comparison.json" for n in (1, world))
    assert one.read_text() == many.read_text()


@pytest.mark.slow
def test_fewer_training_images_than_processes_are_trained_on(runs):
    folder = runs[1, 5] / "fit"
    assert json.loads((folder / "metrics.json").read_text())["epochs"][0]["step"] == 1
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert state["classifier.class_counts"].sum() == 2, "each of the two images once"
