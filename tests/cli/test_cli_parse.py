"""Names of experiments, overrides, and one sentence for every mistake."""

import shutil
import subprocess
import sys

import pytest
import yaml

from lightning_ecinn import shipped
from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.parsing import one_line

SMOKE = shipped.FOLDER / "smoke.yaml"


def printed_config(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(["fit", *arguments, "--print_config"])
    assert not caught.value.code
    return yaml.safe_load(capsys.readouterr().out)


def error(capsys, *arguments):
    """The one line that a mistake gets."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert caught.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "W&B" not in line]
    lines = [line for line in lines if line.startswith(("error", "Traceback", "usage"))]
    assert len(lines) == 1, lines
    return lines[0].removeprefix("error: ")


def test_a_shipped_experiment_is_found_from_anywhere(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = printed_config(capsys, "--config=smoke.yaml")
    assert config["experiment"] == "smoke"
    assert config["model"]["class_path"] == "lightning_ecinn.IBINN"


def test_one_batch_is_not_all_of_them(capsys):
    """A whole number is a number of batches, a number with a point a share of them."""
    given = ["--trainer.limit_test_batches=1", "--trainer.limit_predict_batches=1.0"]
    trainer = printed_config(capsys, "--config=smoke.yaml", *given)["trainer"]
    found = {split: trainer[f"limit_{split}_batches"] for split in ("val", "test", "predict")}
    assert repr(found) == repr({"val": 1, "test": 1, "predict": 1.0})


def test_the_current_folder_comes_first(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = SMOKE.read_text().replace("experiment: smoke", "experiment: mine")
    (tmp_path / "smoke.yaml").write_text(text)
    assert printed_config(capsys, "--config=smoke.yaml")["experiment"] == "mine"
    (tmp_path / "folder").mkdir()
    shutil.move(tmp_path / "smoke.yaml", tmp_path / "folder")
    assert printed_config(capsys, "--config=folder/smoke.yaml")["experiment"] == "mine"
    assert printed_config(capsys, "--config=smoke.yaml")["experiment"] == "smoke"


def test_every_value_can_be_overridden(capsys):
    arguments = ["--model.beta=1", "--data.root=X", "--trainer.devices=2"]
    config = printed_config(capsys, "--config=smoke.yaml", *arguments)
    assert config["model"]["init_args"]["beta"] == 1
    assert config["data"]["init_args"]["root"] == "X"
    assert int(config["trainer"]["devices"]) == 2


def test_a_second_file_overrides_the_first(capsys, tmp_path):
    (tmp_path / "more.yaml").write_text("model:\n  init_args:\n    beta: 3.0\n")
    config = printed_config(capsys, "--config=smoke.yaml", f"--config={tmp_path / 'more.yaml'}")
    assert config["model"]["init_args"]["beta"] == 3
    assert config["model"]["init_args"]["fc_width"] == 32


@pytest.mark.parametrize("command", [[], ["fit"], ["validate"], ["test"], ["predict"]])
def test_help(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert not caught.value.code
    assert "--config" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.lr=abc"], "model: lr: Expected a float. Got value: abc"),
        (["--model.no=1"], "model: Option 'no' is not accepted"),
        (["--data.no=1"], "data: Option 'no' is not accepted"),
        (["--data.source=half"], "data: source: Expected one of ['sample', 'full']. Got value: h"),
        (["--data.val_size=-1"], "val_size is -1; give 0 or more."),
        (["--trainer.no=1"], "unrecognized arguments: --trainer.no=1"),
        (["--trainer.max_epochs=x"], "trainer.max_epochs: Expected a int. Got value: x"),
        (["--trainer.accelerator=gpu", "--trainer.devices=99"], ""),
        (["--model.beta=-1"], "beta is -1.0; give a number that is not negative."),
        (["--model.warmup=1"], "warmup is 1.0; give a number from 0 to less than 1."),
        (["--model=IBIN"], "model: there is no class IBIN; give the name of a class of this"),
        (["--model.num_classes=3"], "model.init_args.num_classes is 3, but the data decide it"),
        (["--model.init_args.class_names=[a]"], "model.init_args.class_names is ['a'], but"),
        (["--model.init_from=no.ckpt"], "init_from no.ckpt: there is no such file in"),
        (["--ckpt_path=no.ckpt"], "--ckpt_path no.ckpt: there is no such file"),
        (["--ckpt_path=last"], "--ckpt_path last: there is no last.ckpt in any run below"),
    ],
)
def test_a_mistake_gets_one_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert error(capsys, "fit", "--config=smoke.yaml", *arguments).startswith(message)
    assert not list(tmp_path.glob("runs/smoke/*"))


def test_a_wrong_name_lists_the_shipped_experiments(capsys):
    said = error(capsys, "fit", "--config=nope.yaml")
    assert said.startswith("--config nope.yaml: there is no such file")
    assert all(path.name in said for path in shipped.FOLDER.glob("*.yaml"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fc_width: 32", "fc_widht: 32", "model: Option 'fc_widht' is not accepted"),
        ("max_epochs: 1", "max_epohs: 1", "Subcommand 'fit' does not accept option 'trainer.max"),
        ("max_epochs: 1", "max_epochs: one", "trainer.max_epochs: Expected a int. Got value: one"),
        ("fc_width: 32", "fc_width: 32\n    num_classes: 3", "model.init_args.num_classes is 3"),
        ("class_path: IBINN", "class_path: IBIN", "model: there is no class IBIN"),
        ("trainer:", "trainer: [", "Problems parsing config"),
    ],
)
def test_a_mistake_in_a_file_gets_one_line(capsys, tmp_path, old, new, message):
    text = SMOKE.read_text()
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new))
    assert error(capsys, "fit", f"--config={tmp_path / 'mine.yaml'}").startswith(message)


def test_data_modules_of_ones_own(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = error(
        capsys, "fit", "--config=smoke.yaml", "--data=pytorch_lightning.LightningDataModule"
    )
    assert said.startswith("The data module must say what its images are")


def test_no_subcommand_and_no_arguments(capsys):
    assert "{fit,validate,test,predict" in error(capsys)
    assert "required" in error(capsys, "fit")
    assert "invalid choice: 'fitt'" in error(capsys, "fitt")


def test_evaluating_needs_something_trained(capsys):
    for command in ("validate", "test", "predict"):
        said = error(capsys, command, "--config=smoke.yaml")
        assert said.startswith(f"{command}: there is nothing trained to look at. Give --ckpt_path")


def test_one_line_keeps_other_messages():
    assert one_line("MNIST is not in /x;\n run this.") == "MNIST is not in /x; run this."


def test_the_module_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "lightning_ecinn", "fit", "--config", "nope.yaml"]
    environment = {"PYTHONPATH": str(shipped.FOLDER.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
