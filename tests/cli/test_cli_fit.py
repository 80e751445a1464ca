"""What `fit` leaves behind, and where."""

import json
import os

import pytest
import torch
import yaml

from lightning_ecinn import Explainer
from lightning_ecinn.cli.main import main
from lightning_ecinn.training import IBINN


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_run_lies_in_one_folder(trained):
    written = files(trained.folder)
    assert {
        "config.yaml",
        "metrics.csv",
        "metrics.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "pictures/counterfactuals-every-class-convincing.png",
        "pictures/samples-epoch005.png",
        "pictures/samples-epoch006.png",
    } <= written
    # Testing after fitting draws nothing a second time.
    assert sum(name.startswith("pictures/") for name in written) == 3
    assert any(name.startswith("wandb/offline-run-") for name in written)


def test_the_run_learnt_and_says_so(trained):
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    assert metrics["latest"] == pytest.approx(trained.metrics)
    assert [line["epoch"] for line in metrics["epochs"]] == list(range(6))
    assert metrics["latest"]["test/accuracy"] > 0.8
    assert metrics["latest"]["val/loss"] < metrics["epochs"][0]["val/loss"]
    assert 0 <= metrics["latest"]["test/validity"] <= 1


def test_the_configuration_is_whole_and_gives_the_same_run_again(trained, tmp_path):
    config = yaml.safe_load((trained.folder / "config.yaml").read_text())
    assert config["model"]["init_args"]["lr"] == 0.02
    assert "num_classes" not in config["model"]["init_args"]
    assert config["checkpoint"]["dirpath"] is None

    again = ["fit", f"--config={trained.folder / 'config.yaml'}", "--test_after_fit=false"]
    main([*again, f"--trainer.default_root_dir={tmp_path / 'again'}", "--trainer.logger=false"])
    first, second = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (trained.folder, tmp_path / "again")
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", ["best", "last"])
def test_checkpoints_explain_without_the_data(trained, name):
    path = trained.folder / "checkpoints" / f"{name}.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["classifier"]["num_classes"] == 10
    explainer = Explainer.from_checkpoint(path)
    assert explainer.classifier.class_counts.sum() == 200
    images = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    assert explainer.explain(images, 3).image.isfinite().all()

    module = IBINN.load_from_checkpoint(path, map_location="cpu")
    assert torch.equal(module.classifier.class_means, explainer.classifier.class_means)


def test_nothing_is_overwritten(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["fit", "--config=smoke.yaml", *tiny, "--test_after_fit=false"]
    arguments += ["--trainer.limit_train_batches=1", "--trainer.default_root_dir=here"]
    arguments += ["--trainer.callbacks=null"]
    first = main(arguments).run_folder
    assert first == tmp_path / "here"
    written = [path for path in first.rglob("*") if path.is_file() and path.suffix != ".log"]
    before = {path: path.stat().st_mtime_ns for path in written}
    second = main(arguments).run_folder
    third = main(arguments).run_folder
    assert [second, third] == [first / "run-2", first / "run-3"]
    assert "checkpoints/best.ckpt" in files(second)
    after = {path: path.stat().st_mtime_ns for path in before}
    assert [path for path in before if before[path] != after[path]] == []


def test_by_default_runs_lie_by_experiment_and_time(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    environment = dict(os.environ)
    arguments = ["--trainer.limit_train_batches=1", "--trainer.logger=false"]
    cli = main(["fit", "--config=smoke.yaml", *tiny, "--experiment=mine", *arguments])
    assert cli.run_folder.parent == tmp_path / "runs" / "mine"
    assert {"config.yaml", "metrics.json", "checkpoints/last.ckpt"} <= files(cli.run_folder)
    assert not any("wandb" in name or "csv" in name for name in files(tmp_path))
    assert dict(os.environ) == environment, "a run's settings reach the next one"

    shown = capsys.readouterr()
    assert f"This run lies in {cli.run_folder}" in shown.out
    assert "  pictures/samples-epoch001.png" in shown.out
    assert "val/bpd" in shown.out
    assert "test/accuracy" in shown.out
    assert "it/s" not in shown.err, "progress bars belong on terminals only"
    warnings = [line for line in shown.err.splitlines() if "warning" in line.lower()]
    of_a_short_training = ("without a mean", "no step leads to", "Jsonargparse", "deprecated")
    assert all(any(part in line for part in of_a_short_training) for line in warnings), warnings
    assert "Tip" not in shown.err


def test_without_checkpoints_the_means_are_still_built(tiny, tmp_path):
    arguments = ["--trainer.enable_checkpointing=false", "--trainer.logger=false"]
    arguments += ["--trainer.limit_train_batches=1", f"--trainer.default_root_dir={tmp_path}"]
    cli = main(["fit", "--config=smoke.yaml", *tiny, *arguments])
    assert cli.model.classifier.class_counts.sum() == 200
    assert "checkpoints" not in os.listdir(tmp_path)


def test_fast_dev_run(tiny, tmp_path):
    arguments = ["--trainer.fast_dev_run=true", f"--trainer.default_root_dir={tmp_path}"]
    cli = main(["fit", "--config=smoke.yaml", *tiny, *arguments])
    assert cli.trainer.global_step == 1
    assert cli.model.classifier.class_counts.sum() < 60  # one batch is enough here
    assert not any("wandb" in name for name in files(tmp_path))


def test_a_failed_run_leaves_no_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lightning_ecinn.datamodules.mnist._download", lambda root: None)
    with pytest.raises(SystemExit) as caught:
        main(["fit", "--config=smoke.yaml", "--data.source=full", "--data.root=nowhere"])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: MNIST is not in {tmp_path}/nowhere/MNIST/raw")
    assert not files(tmp_path)
    assert not (tmp_path / "runs").exists()
    monkeypatch.setenv("LIGHTNING_ECINN_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        main(["fit", "--config=smoke.yaml", "--data.source=full", "--data.root=nowhere"])


def test_a_loss_that_is_no_number_ends_with_one_sentence(tiny, tmp_path, capsys):
    arguments = ["--model.lr=1e30", "--model.optimizer=sgd", "--trainer.gradient_clip_val=null"]
    arguments += ["--trainer.max_epochs=3", f"--trainer.default_root_dir={tmp_path}"]
    with pytest.raises(SystemExit) as caught:
        main(["fit", "--config=smoke.yaml", *tiny, *arguments, "--trainer.logger=false"])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "is not finite at step" in last
    assert "--model.lr" in last
    for path in tmp_path.rglob("*.ckpt"):
        weights = torch.load(path, weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for value in weights.values())
