"""What reaches W&B, read back from the offline run."""

import os

import pytest
import wandb
import yaml
from offline_runs import records

from lightning_ecinn.callbacks import run as callbacks_of_a_run
from lightning_ecinn.cli import run_loggers, save_config
from lightning_ecinn.cli.main import main

SHORT = ["--trainer.limit_train_batches=1", "--test_after_fit=false", "--trainer.callbacks=null"]


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
    items = [item for item in history(logged) if any("._type" in key for key in item)]
    names = [key.removesuffix("._type") for item in items for key in item if "._type" in key]
    assert names == [
        "samples/classes",
        "samples/classes",
        "counterfactuals/every-class-convincing",
    ]
    # Each with the numbers of its moment: the epochs' averages, and what the test found.
    assert [item["trainer/global_step"] for item in items] == [49, 59, 60]
    assert ["train/loss" in item for item in items] == [True, True, False]
    assert "test/accuracy" in items[2]
    for item, name in zip(items, names, strict=True):
        assert (run / "files" / item[f"{name}.filenames"][0]).stat().st_size > 1000


def test_hyperparameters_are_all_there(logged, trained):
    config = {}
    for record in logged:
        config |= record.get("config", {}).get("update", {})
    assert config["lr"] == 0.02
    assert config["blocks"] == [1, 1]
    assert config["trainer"]["max_epochs"] == 6
    assert config["data"]["init_args"]["batch_size"] == 20
    assert config["experiment"] == "smoke"
    assert {*config} >= {*yaml.safe_load((trained.folder / "config.yaml").read_text())}
    assert config["model"]["init_args"]["widths"] == [4, 4]


def test_the_data_are_described(logged):
    config = {}
    for record in logged:
        config |= record.get("config", {}).get("update", {})
    about = config["data_set"]
    assert about["images"] == {"train": 200, "val": 20, "test": 60}
    assert about["image_shape"] == [1, 28, 28]
    assert about["class_names"] == list("0123456789")
    assert about["description"].startswith("MNIST: train 200 (")
    assert about["found"] == []


def test_what_was_found_in_the_data_is_told(tiny, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(save_config, "log_about", lambda *what: told.append(what))
    arguments = [*SHORT, "--model.means_lr_factor=null", "--trainer.logger=false"]
    main(
        ["fit", "--config=smoke.yaml", *tiny, *arguments, f"--trainer.default_root_dir={tmp_path}"]
    )
    about = next(about for _, name, about, _ in told if name == "data_set")["data_set"]
    assert [line.split(":")[0] for line in about["found"]] == ["means_lr_factor"]


def test_the_best_is_in_the_summary(logged):
    summary = {}
    for record in logged:
        summary |= record.get("summary", {}).get("update", {})
    losses, accuracies = (
        [item[key] for item in history(logged) if key in item]
        for key in ("val/loss", "val/accuracy")
    )
    assert summary["val/loss"] == {"min": min(losses), "last": losses[-1]}
    assert summary["val/accuracy"] == {"max": max(accuracies), "last": accuracies[-1]}
    metrics = [record["metric"] for record in logged if "metric" in record]
    over = {one.get("glob_name", one.get("name")): one.get("step_metric") for one in metrics}
    assert over["val/*"] == over["val/loss"] == over["val/accuracy"] == "epoch"


def test_a_checkpoint_offline_is_not_copied(tiny, tmp_path, capsys):
    arguments = [*SHORT, "--wandb_checkpoint=true", f"--trainer.default_root_dir={tmp_path}"]
    main(["fit", "--config=smoke.yaml", *tiny, *arguments])
    assert "Weights & Biases is offline, so " in capsys.readouterr().out
    (run,) = tmp_path.glob("wandb/offline-run-*")
    assert not [one for one in records(run) if "artifact" in one]


def test_a_process_of_an_earlier_run_is_not_asked_for(tiny, tmp_path, monkeypatch):
    """Who logged something before, in the same Python, logs both of these."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.init(dir=tmp_path).finish()
    for name in ("one", "two"):
        arguments = [*SHORT, f"--trainer.default_root_dir={tmp_path / name}"]
        main(["fit", "--config=smoke.yaml", *tiny, *arguments])
        (run,) = (tmp_path / name).glob("wandb/offline-run-*")
        assert any("history" in record for record in records(run))


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
    monkeypatch.setattr(run_loggers, "is_logged_in", lambda: pytest.fail("nobody asked"))
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
