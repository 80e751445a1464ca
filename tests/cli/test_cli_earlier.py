"""Runs of earlier versions, whose classes and settings had other names, are still understood."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

from lightning_ecinn import IBINN, Explainer
from lightning_ecinn.cli.earlier import translate
from lightning_ecinn.cli.main import main

EARLIER = Path(__file__).parent / "earlier"
"""Written by version 0.1.0 before everything was installed under one name."""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(EARLIER, tmp_path / "earlier"))


def test_the_run_is_one_of_before(run):
    text = (run / "config.yaml").read_text()
    for name in ("callbacks.CounterfactualGrid", "datamodules.MNIST", "lightning_ecinn.modules."):
        assert f"class_path: {name}" in text
    assert "    step:\n" in text
    settings = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["hyper_parameters"]
    assert settings["step"] == (0.8, 0.5)


def test_its_checkpoint_explains(run):
    explainer = Explainer.from_checkpoint(run / "checkpoints" / "last.ckpt")
    cf = explainer.explain(torch.zeros(1, 1, 28, 28), 1, undefined="keep")
    assert cf.image.isfinite().all()
    module = IBINN.load_from_checkpoint(run / "checkpoints" / "last.ckpt", map_location="cpu")
    assert module.explainer.convincing_step == (0.8, 0.5)
    assert "step" not in module.hparams


def test_it_is_tested_alone_and_gives_its_numbers(run):
    cli = main(["test", "--ckpt_path", str(run / "checkpoints" / "last.ckpt")])
    latest = cli.metrics.latest
    assert latest["test/accuracy"] == pytest.approx(0.272)
    assert latest["test/loss"] == pytest.approx(0.6933146, rel=1e-5)
    assert [type(c).__name__ for c in cli.trainer.callbacks].count("CounterfactualGrid") == 1
    assert list(cli.run_folder.glob("pictures/counterfactuals-*.png"))


def test_its_training_goes_on(run):
    config, checkpoint = run / "config.yaml", run / "checkpoints" / "last.ckpt"
    given = ["--trainer.max_epochs=1", "--trainer.callbacks=null", "--test_after_fit=false"]
    given += ["--data.val_size=28500", f"--ckpt_path={checkpoint}", "--trainer.default_root_dir=on"]
    cli = main(["fit", f"--config={config}", *given, "--trainer.logger=false"])
    assert cli.trainer.global_step == 8


def test_only_what_was_ours_is_translated():
    content = yaml.safe_load(
        """
        trainer:
          callbacks:
          - class_path: callbacks.CounterfactualGrid
          - class_path: callbacks.Mine
            init_args: {step: 3}
        data: {class_path: datamodules.mnist.MNIST}
        model:
          class_path: lightning_ecinn.modules.IBINN
          init_args: {step: [0.9, 0.1], beta: 1.0}
        """
    )
    assert translate(content) == {
        "trainer": {
            "callbacks": [
                {"class_path": "lightning_ecinn.CounterfactualGrid"},
                {"class_path": "callbacks.Mine", "init_args": {"step": 3}},
            ]
        },
        "data": {"class_path": "lightning_ecinn.MNIST"},
        "model": {
            "class_path": "lightning_ecinn.IBINN",
            "init_args": {"convincing_step": [0.9, 0.1], "beta": 1.0},
        },
    }


def test_the_users_own_class_wins(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "datamodules", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "datamodules.py").write_text("class MNIST: pass\n")
    assert translate({"class_path": "datamodules.MNIST"}) == {"class_path": "datamodules.MNIST"}
    assert translate({"class_path": "datamodules.FakeMNIST"}) == {
        "class_path": "lightning_ecinn.FakeMNIST"
    }
    del sys.modules["datamodules"]
