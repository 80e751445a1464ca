"""Every shipped experiment through the real command line, on tiny data."""

import pytest
import yaml

import experiments
from lightning_ecinn.cli import main

NAMES = sorted(path.name for path in experiments.FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_it_parses_and_says_where_its_runs_lie(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["fit", f"--config={name}", "--print_config"])
    assert not caught.value.code
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["experiment"] == name.removesuffix(".yaml")


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(name, tiny, tmp_path):
    arguments = ["--trainer.max_epochs=2", "--trainer.limit_train_batches=2"]
    arguments += ["--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
    arguments += [f"--trainer.default_root_dir={tmp_path}", "--model.init_from=null"]
    cli = main(["fit", f"--config={name}", *tiny, *arguments, "--trainer.logger=false"])
    assert cli.trainer.global_step == 4
    assert cli.model.classifier.class_counts.sum() == 200
    assert {"config.yaml", "metrics.json", "checkpoints"} <= {p.name for p in tmp_path.iterdir()}
    asked_for = [c for c in cli.trainer.callbacks if hasattr(c, "selection")]
    drawn = list(tmp_path.glob("pictures/counterfactuals-*.png"))
    assert len(drawn) <= len(asked_for)
