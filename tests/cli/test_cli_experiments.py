"""Every shipped experiment through the real command line; those on digits run, on tiny data."""

import re

import pytest
import yaml

from lightning_ecinn import shipped
from lightning_ecinn.cli.main import main

NAMES = sorted(path.name for path in shipped.FOLDER.glob("*.yaml"))
COMMAND = re.compile(r"^#\s+python -m lightning_ecinn fit (.*)$", re.MULTILINE)


def files(name):
    """What the command in an experiment's heading reads: a fragment comes after a whole one."""
    text = (shipped.FOLDER / name).read_text()
    commands = [re.findall(r"--config (\S+)", command) for command in COMMAND.findall(text)]
    return next((command for command in commands if command[-1] == name), [name])


def configs(name):
    return [f"--config={file}" for file in files(name)]


def is_on_digits(name):
    data = yaml.safe_load((shipped.FOLDER / files(name)[0]).read_text())["data"]
    return data["class_path"] in ("MNIST", "FakeMNIST")


def is_flow(name):
    contents = [yaml.safe_load((shipped.FOLDER / file).read_text()) for file in files(name)]
    kinds = [content.get("model", {}).get("class_path") for content in contents]
    return [kind for kind in kinds if kind][-1] == "IBINN"


def test_fragments_say_what_they_come_after():
    for name in NAMES:
        content = yaml.safe_load((shipped.FOLDER / name).read_text())
        whole = all("class_path" in content.get(key, {}) for key in ("data", "model"))
        assert (len(files(name)) == 1) == whole, name


@pytest.mark.parametrize("name", NAMES)
def test_it_parses_and_says_where_its_runs_lie(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["fit", *configs(name), "--print_config"])
    assert not caught.value.code
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["experiment"].startswith(name.removesuffix(".yaml"))


@pytest.mark.parametrize("name", [name for name in NAMES if is_on_digits(name)])
def test_it_runs(name, tiny, tmp_path):
    arguments = ["--trainer.max_epochs=2", "--trainer.limit_train_batches=2"]
    arguments += ["--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
    arguments += [f"--trainer.default_root_dir={tmp_path}", "--trainer.logger=false"]
    given = [a for a in tiny if is_flow(name) or not a.startswith("--model")]
    given += ["--model.init_from=null"] * is_flow(name)
    cli = main(["fit", *configs(name), *given, *arguments])
    assert cli.trainer.global_step == 4
    assert not is_flow(name) or cli.model.classifier.class_counts.sum() == 200
    assert {"config.yaml", "metrics.json", "checkpoints"} <= {p.name for p in tmp_path.iterdir()}
    asked_for = [c for c in cli.trainer.callbacks if hasattr(c, "selection")]
    drawn = list(tmp_path.glob("pictures/counterfactuals-*.png"))
    assert len(drawn) <= len(asked_for)
