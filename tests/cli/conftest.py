"""One tiny run that many tests look at."""

import os
import sys
from types import SimpleNamespace

import pytest
from tiny_mnist import TINY, write_bars

from lightning_ecinn.cli.main import main


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
