"""What reaches W&B, read back from the offline run."""

import json
import os
import subprocess
import sys

import pytest

from lightning_ecinn.callbacks import run as callbacks_of_a_run
from lightning_ecinn.cli import run_loggers
from lightning_ecinn.cli.main import main

SHORT = ["--trainer.limit_train_batches=1", "--test_after_fit=false", "--trainer.callbacks=null"]


def records(run):
    """Every record of a run."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def logged(trained):
    (run,) = trained.folder.glob("wandb/offline-run-*")
    return records(run)


def history(logged):
    return [record["history"]["item"] for record in logged if "history" in record]


def test_metrics_and_their_steps(logged, trained):
    items = history(logged)
    assert [item["_step"] for item in items] == list(range(len(items)))
    train = [item for item in items if "train/loss" in item]
    val = [item for item in items if "val/bpd" in item]
    assert [item["epoch"] for item in train] == [item["epoch"] for item in val] == list(range(6))
    assert [item["trainer/global_step"] for item in val] == [10 * k - 1 for k in range(1, 7)]
    (test,) = [item for item in items if "test/accuracy" in item]
    assert test["test/accuracy"] == pytest.approx(trained.metrics["test/accuracy"])


def test_pictures_are_all_there(logged, trained):
    (run,) = trained.folder.glob("wandb/offline-run-*")
    items = [item for item in history(logged) if any("pictures/" in key for key in item)]
    names = [key.removesuffix("._type") for item in items for key in item if "._type" in key]
    assert names == [
        "pictures/samples",
        "pictures/samples",
        "pictures/counterfactuals-every-class-convincing",
    ]
    assert [item["trainer/global_step"] for item in items] == [50, 60, 60]
    for item, name in zip(items, names, strict=True):
        assert (run / "files" / item[f"{name}.filenames"][0]).stat().st_size > 1000


def test_hyperparameters_are_all_there(logged):
    config = {}
    for record in logged:
        config |= record.get("config", {}).get("update", {})
    assert config["lr"] == 0.02
    assert config["blocks"] == [1, 1]
    assert config["trainer"]["max_epochs"] == 6
    assert config["data"]["init_args"]["batch_size"] == 20
    assert config["experiment"] == "smoke"


def test_it_says_once_how_to_upload(tiny, tmp_path, capsys, caplog):
    arguments = [*SHORT]
    main(
        ["fit", "--config=smoke.yaml", *tiny, *arguments, f"--trainer.default_root_dir={tmp_path}"]
    )
    shown = capsys.readouterr()
    said = [line for line in caplog.messages if "wandb sync" in line]
    assert len(said) == 1
    assert said[0].endswith(f"wandb login && wandb sync {tmp_path}/wandb/offline-run-*")
    assert (shown.out + shown.err).lower().count("wandb:") == 0
    assert "WANDB_MODE" not in os.environ
    assert "WANDB_DATA_DIR" not in os.environ


def test_a_mode_of_ones_own_is_respected(tiny, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(run_loggers, "_is_logged_in", lambda: pytest.fail("nobody asked"))
    arguments = [*SHORT]
    main(
        ["fit", "--config=smoke.yaml", *tiny, *arguments, f"--trainer.default_root_dir={tmp_path}"]
    )
    assert "wandb sync" not in caplog.text
    assert os.environ["WANDB_MODE"] == "disabled"
    assert not list(tmp_path.glob("wandb/offline-run-*"))


def test_ones_own_wandb_logger_goes_offline_too(tiny, tmp_path, caplog):
    arguments = [*SHORT]
    arguments += ["--trainer.logger=WandbLogger", f"--trainer.logger.save_dir={tmp_path}"]
    main(
        ["fit", "--config=smoke.yaml", *tiny, *arguments, f"--trainer.default_root_dir={tmp_path}"]
    )
    assert "wandb sync" in caplog.text
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1


def test_artifacts_are_kept_in_the_run_folder(tiny, tmp_path):
    """Images in tables and artifacts wait where WANDB_DATA_DIR says: one folder can be copied."""
    seen = []

    class Spy(callbacks_of_a_run.StopOnNonFiniteLoss):
        def on_train_start(self, trainer, pl_module):
            seen.append(os.environ["WANDB_DATA_DIR"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks_of_a_run, "StopOnNonFiniteLoss", Spy)
        arguments = [*SHORT]
        arguments += [f"--trainer.default_root_dir={tmp_path}"]
        main(["fit", "--config=smoke.yaml", *tiny, *arguments])
    assert seen == [str(tmp_path / "wandb")]
