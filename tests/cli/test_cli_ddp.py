"""Two real processes through the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_ecinn.cli.main import main

ROOT = Path(__file__).parents[2]
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


def launch(folder, *arguments):
    """Run the command line in `folder`; what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lightning_ecinn", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_fit(tiny, tmp_path):
    shown = launch(tmp_path, "fit", "--config=smoke.yaml", *tiny, *TWO)
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
    assert metrics["epochs"][0]["step"] == 5  # 200 images in batches of 20 on each of two
    assert 0 <= metrics["latest"]["test/accuracy"] <= 1
    for name in ("best", "last"):
        path = run / "checkpoints" / f"{name}.ckpt"
        counts = torch.load(path, weights_only=True)["state_dict"]["classifier.class_counts"]
        assert counts.sum() == 200, "each image once"


@pytest.mark.slow
def test_predict_gives_what_one_process_gives(trained, tiny, tmp_path):
    arguments = ["predict", "--config=smoke.yaml", *tiny, "--data.eval_batch_size=7"]
    arguments += [f"--ckpt_path={trained.folder}/checkpoints/best.ckpt", "--trainer.logger=false"]
    launch(tmp_path, *arguments, *TWO, "--trainer.default_root_dir=two")
    main([*arguments, f"--trainer.default_root_dir={tmp_path / 'one'}"])
    assert not list((tmp_path / "two").glob(".*")), "parts are left"
    with (
        np.load(tmp_path / "one" / "counterfactuals.npz") as one,
        np.load(tmp_path / "two" / "counterfactuals.npz") as two,
    ):
        assert one.files == two.files
        for key in ("inputs", "sources", "targets", "defined", "class_names"):
            assert np.array_equal(one[key], two[key]), key
        for key in ("alphas", "posteriors"):
            assert np.allclose(one[key], two[key], atol=1e-5), key
        apart = np.abs(one["pictures"].astype(int) - two["pictures"].astype(int))
        assert apart.max() <= 1  # other batches, other rounding
