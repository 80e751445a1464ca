"""A tiny MNIST in its own files, and one tiny run that many tests look at."""

import os
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from lightning_ecinn.cli.main import main

TINY = [
    "--model.blocks=[1,1]",
    "--model.widths=[4,4]",
    "--model.dropouts=[0.0,0.0]",
    "--model.fc_width=8",
    "--model.haar=null",
    "--data.source=full",
    "--data.val_size=20",
    "--data.batch_size=20",
    "--data.eval_batch_size=30",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]


def write_idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_bars(root, num_train=220, num_test=60):
    """Write images in MNIST's files whose class is the height of a white bar."""
    folder, rng = root / "MNIST" / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for prefix, n in (("train", num_train), ("t10k", num_test)):
        labels = np.arange(n) % 10
        images = rng.integers(0, 20, (n, 28, 28))
        for row in range(2):
            images[np.arange(n), 4 + 2 * labels + row, 4:24] = 230
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    return root


@pytest.fixture(scope="session", autouse=True)
def no_login(tmp_path_factory):
    """Whoever runs the tests: nobody is logged in, and no terminal is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(sys, "argv", ["lightning_ecinn"])
        for name in [name for name in os.environ if name.startswith(("WANDB_", "NETRC"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def bars(tmp_path_factory):
    """Folder of the tiny data."""
    return write_bars(tmp_path_factory.mktemp("bars"))


@pytest.fixture(scope="session")
def tiny(bars):
    """Arguments that make any experiment tiny."""
    return [*TINY, f"--data.root={bars}"]


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):
    """One finished run of smoke.yaml on the bars, good enough to explain."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    arguments = ["--trainer.max_epochs=6", "--trainer.limit_train_batches=null"]
    arguments += ["--trainer.limit_val_batches=null", "--trainer.limit_test_batches=null"]
    arguments += ["--model.lr=0.02", "--model.init_scale=1.0"]
    arguments += [f"--trainer.default_root_dir={folder}"]
    cli = main(["fit", "--config=smoke.yaml", *tiny, *arguments])
    return SimpleNamespace(folder=folder, metrics=cli.metrics.latest, arguments=arguments)
