"""A command ends well although something failed, and says so; one without a result does not."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import wandb
from disk import full_disk
from matplotlib.figure import Figure

from lightning_ecinn.callbacks.remarks import remark
from lightning_ecinn.cli import run_loggers
from lightning_ecinn.cli.farewell import say_farewell
from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.save_config import SaveConfig


@pytest.fixture
def nowhere(trained, tmp_path):
    """A checkpoint whose class means are all the same: no step leads anywhere."""
    checkpoint = torch.load(trained.folder / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["state_dict"]["classifier.class_means"].zero_()
    torch.save(checkpoint, tmp_path / "nowhere.ckpt")
    return tmp_path / "nowhere.ckpt"


def test_a_training_whose_pictures_fail_ends_well_and_says_it_last(
    tiny, tmp_path, capsys, monkeypatch
):
    def full(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    words = ["--test_after_fit=false", "--trainer.logger=false", "--trainer.max_epochs=1"]
    main(["fit", "--config=smoke.yaml", *tiny, *words, f"--trainer.default_root_dir={tmp_path}"])
    shown = capsys.readouterr()
    lines = shown.out.strip().splitlines()
    assert lines[-1].startswith("  but: ")
    assert lines[-1].endswith(".png could not be written: No space left on device.")
    assert lines[-1].removeprefix("  but: ") in shown.err
    assert (tmp_path / "checkpoints" / "last.ckpt").exists()


def test_predictions_of_nothing_are_no_success(tiny, tmp_path, nowhere, capsys):
    words = [f"--ckpt_path={nowhere}", f"--trainer.default_root_dir={tmp_path}/out"]
    with pytest.raises(SystemExit) as stop:
        main(["predict", "--config=smoke.yaml", *tiny, *words, "--trainer.logger=false"])
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: 0 of ")
    assert "counterfactuals exist" in last
    with np.load(tmp_path / "out" / "counterfactuals.npz") as arrays:
        assert set(arrays["reasons"].flat) > {""}


def test_predictions_come_back_on_the_command_line_too(tiny, tmp_path, trained):
    words = [f"--ckpt_path={trained.folder}/checkpoints/last.ckpt", "--return_predictions=true"]
    words += [f"--trainer.default_root_dir={tmp_path}/out", "--trainer.logger=false"]
    main(["predict", "--config=smoke.yaml", *tiny, *words])
    assert (tmp_path / "out" / "counterfactuals.npz").exists()


def test_what_a_judge_saw_is_said_at_the_end(tmp_path, capsys):
    say_farewell(tmp_path, {"judge/accuracy": 0.986, "judge/agreement": 0.94}, after_fit=True)
    said = capsys.readouterr().out
    assert "An independent network of 98.6 % sees the target in 94.0 % of the convincing" in said
    say_farewell(tmp_path, {"judge/accuracy": 0.986, "judge/agreement": None}, after_fit=True)
    assert "independent" not in capsys.readouterr().out


def test_the_farewell_says_what_is_no_number_and_what_failed(tmp_path, capsys):
    there = SimpleNamespace(default_root_dir=str(tmp_path), is_global_zero=True)
    with pytest.warns(UserWarning, match="no picture"):
        remark(there, "\x1b[31mno picture")
    say_farewell(tmp_path, {"val/accuracy": None, "val/bpd": 1.5}, after_fit=False)
    out = capsys.readouterr().out
    assert out.startswith("val/accuracy –, val/bpd 1.5\n")
    assert out.endswith("  but: \\x1b[31mno picture\n")
    with pytest.warns(UserWarning, match="nothing at all"):
        remark(there, "nothing at all", fails=True)
    with pytest.raises(ValueError, match="nothing at all"):
        say_farewell(tmp_path, {}, after_fit=False)


def test_a_configuration_that_can_not_be_written_is_said_by_every_process(tmp_path):
    told = []

    def broadcast(value):
        told.append(value)
        return value

    there = SimpleNamespace(
        default_root_dir=tmp_path,
        is_global_zero=True,
        loggers=[],
        strategy=SimpleNamespace(broadcast=broadcast),
    )
    parser = SimpleNamespace(dump=lambda config, skip_none: "experiment: a\n")
    saving = SaveConfig(parser, None, save_to_log_dir=False)
    with full_disk(3), pytest.raises(OSError, match=r"config\.yaml could not be written"):
        saving.setup(there, None, "fit")
    assert told[-1].endswith("could not be written: File too large.")
    assert list(tmp_path.iterdir()) == []


def test_weights_and_biases_that_can_not_begin(tmp_path, monkeypatch):
    begin = wandb.init

    def failing(**settings):
        if settings.get("mode") != "disabled":
            raise wandb.errors.CommError("no route to host")
        return begin(**settings)

    monkeypatch.setattr(wandb, "init", failing)
    _, online = run_loggers.make_loggers(tmp_path, "a", "b")
    with pytest.warns(UserWarning, match="Nothing is logged to Weights & Biases.*no route to host"):
        online.log_metrics({"a": 1.0})
    online.log_hyperparams({"b": 2})
    wandb.finish()
