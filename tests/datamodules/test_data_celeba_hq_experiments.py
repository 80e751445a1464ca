"""The shipped CelebA-HQ experiments through the real command line, on eight tiny faces."""

import sys

import pytest
import yaml
from picture_files import write_celeba_hq

from lightning_ecinn.cli.main import main

FRAGMENTS = {
    "smiling": "Smiling",
    "high_cheekbones": "High_Cheekbones",
    "lipstick": "Wearing_Lipstick",
    "heavy_makeup": "Heavy_Makeup",
}


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    """No login, nobody's home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(sys, "argv", ["lightning_ecinn"])


def config(capsys, *arguments):
    with pytest.raises(SystemExit):
        main(["fit", *arguments, "--print_config"])
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_changes_the_attribute_and_the_name_alone(name, capsys):
    base = config(capsys, "--config=celeba_hq.yaml")
    changed = config(capsys, "--config=celeba_hq.yaml", f"--config=celeba_hq_{name}.yaml")
    assert changed["data"]["init_args"].pop("attribute") == FRAGMENTS[name]
    assert changed.pop("experiment") == f"celeba_hq_{name}"
    del base["data"]["init_args"]["attribute"], base["experiment"]
    assert changed == base


def test_a_tiny_run(tmp_path):
    root = write_celeba_hq(tmp_path / "hq", 120)
    arguments = ["--config=celeba_hq.yaml", "--config=celeba_hq_lipstick.yaml"]
    arguments += [f"--data.root={root}", "--data.resolution=32", "--data.batch_size=8"]
    arguments += ["--model.blocks=[1,1,1]", "--model.widths=[4,4,4]", "--model.fc_width=8"]
    arguments += ["--model.init_scale=1.0", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    arguments += ["--trainer.limit_train_batches=1", "--trainer.callbacks=null"]
    arguments += [f"--trainer.default_root_dir={tmp_path / 'run'}", "--trainer.logger=false"]
    arguments += ["--trainer.enable_progress_bar=false"]
    cli = main(["fit", *arguments])
    assert list(cli.model.classifier.class_names) == ["not wearing lipstick", "wearing lipstick"]
    assert cli.model.classifier.image_shape == (3, 32, 32)
    assert cli.trainer.datamodule.describe().startswith("CelebAHQ: train 97 (")
    assert "test 11 (" in cli.trainer.datamodule.describe()


def test_a_misspelt_attribute_is_one_line(tmp_path, capsys):
    root = write_celeba_hq(tmp_path / "hq", 8)
    arguments = ["--config=celeba_hq.yaml", f"--data.root={root}", "--data.attribute=Smile"]
    with pytest.raises(SystemExit):
        main(["fit", *arguments, f"--trainer.default_root_dir={tmp_path / 'run'}"])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(said) == 1
    assert "did you mean Smiling" in said[0]
