"""Names of experiments, overrides, and one sentence for every mistake."""

import shutil
import subprocess
import sys

import pytest
import yaml
from jsonargparse import ArgumentParser
from pytorch_lightning import LightningDataModule, LightningModule

from lightning_ecinn import datamodules, shipped, training
from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.options import check_name
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
        (["--model.lr=abc"], "model.lr: Expected a float. Got value: abc"),
        (["--model.no=1"], "model.no: there is no such setting"),
        (["--data.no=1"], "data.no: there is no such setting"),
        (["--data.source=half"], "data.source: Expected one of ['sample', 'full']. Got value: h"),
        (["--data.val_size=-1"], "val_size is -1; give 0 or more."),
        (["--trainer.no=1"], "unrecognized arguments: --trainer.no=1"),
        (["--trainer.max_epochs=x"], "trainer.max_epochs: Expected an int. Got value: x"),
        (["--trainer.accelerator=gpu", "--trainer.devices=99"], ""),
        (["--model.beta=-1"], "beta is -1.0; give "),
        (["--model.warmup=1"], "warmup is 1.0; give a number from 0 to less than 1."),
        (["--model=IBIN"], "model: there is no class IBIN (did you mean IBINN?); give the name of"),
        (["--model.num_classes=3"], "model.num_classes is 3, but the data decide it"),
        (["--model.init_args.class_names=[a]"], "model.class_names is ['a'], but"),
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
        (
            "fc_width: 32",
            "fc_widht: 32",
            "model.fc_widht: there is no such setting (did you mean fc_w",
        ),
        (
            "max_epochs: 1",
            "max_epohs: 1",
            "trainer.max_epohs: there is no such setting (did you mean trainer.max_epochs?)",
        ),
        ("max_epochs: 1", "max_epochs: one", "trainer.max_epochs: Expected an int. Got value: one"),
        ("fc_width: 32", "fc_width: 32\n    num_classes: 3", "model.num_classes is 3"),
        ("class_path: IBINN", "class_path: IBIN", "model: there is no class IBIN"),
    ],
)
def test_a_mistake_in_a_file_gets_one_line(capsys, tmp_path, old, new, message):
    text = SMOKE.read_text()
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new))
    assert error(capsys, "fit", f"--config={tmp_path / 'mine.yaml'}").startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.init_args.bet=1"], "model.bet: there is no such setting (did you mean beta?)"),
        (["--data.batchsize=1"], "data.batchsize: there is no such setting (did you mean batch_s"),
        (
            ["--trainer.max_epcohs=1"],
            "unrecognized arguments: --trainer.max_epcohs=1 (did you mean",
        ),
        (
            ["quickstart.yaml"],
            "unrecognized arguments: quickstart.yaml (did you mean --config quic",
        ),
        (["--data=MNISTT"], "data: there is no class MNISTT (did you mean MNIST?)"),
        (["--trainer.callbacks=ClasSamples"], "trainer.callbacks: there is no class ClasSamples ("),
        (["--trainer.logger=Nope"], "trainer.logger: there is no class Nope; give the name"),
        (["--data=[1]"], "data: Expected a class and its settings. Got value: [1]"),
        (["--model="], "model: there is no class ''"),
        (["--model.blocks=[1,x]"], "model.blocks: Expected an int. Got value: x"),
        (["--data.batch_size=1.5"], "data.batch_size: Expected an int. Got value: 1.5"),
        (["--data.batch_size=nan"], "data.batch_size: Expected an int. Got value: nan"),
        (["--data.batch_size=0"], "batch_size is 0; give 1 or more."),
        (["--trainer.max_epochs=1e9"], "trainer.max_epochs: Expected an int. Got value: 10000000"),
        (["--seed_everything=x"], "seed_everything: Expected a bool or an int. Got value: x"),
        (["--seed_everything=-1"], "seed_everything is -1; give a whole number from 0 to 42949672"),
        (["--model.lr"], "--model, or one of its settings, has no value"),
        (["--config"], "--config has no value; give a file's name"),
    ],
)
def test_a_mistake_is_said_in_the_users_words(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    said = error(capsys, "fit", "--config=smoke.yaml", *arguments)
    assert said.startswith(message)
    for word in ("Union", "NestedArg", "Namespace", "init_args", "NoneType", "Settings("):
        assert word not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model.lr=0.5", "--config=smoke.yaml"],
        ["--model.lr", "0.5", "-c", "smoke.yaml"],
        ["--model.lr=0.5", "-csmoke.yaml"],
        ["-c=smoke.yaml", "--model.lr=0.1", "--model.lr=0.5"],
        ["--model.lr=0.5", "--model=IBINN", "--data=MNIST"],
    ],
)
def test_options_count_wherever_they_stand(capsys, arguments):
    config = printed_config(capsys, *arguments)
    assert config["model"]["init_args"]["lr"] == 0.5


def test_an_option_between_two_files_comes_after_both(capsys, tmp_path):
    (tmp_path / "more.yaml").write_text("model:\n  init_args:\n    beta: 3.0\n    lr: 0.7\n")
    given = ["--config=smoke.yaml", "--model.lr=0.5", f"--config={tmp_path / 'more.yaml'}"]
    arguments = printed_config(capsys, *given)["model"]["init_args"]
    assert (arguments["lr"], arguments["beta"]) == (0.5, 3.0)


def test_a_subcommand_comes_first(capsys):
    said = error(capsys, "--config", "smoke.yaml", "fit")
    assert said == "--config comes before the subcommand: give that first, as in fit --config " + (
        "mnist.yaml"
    )


@pytest.mark.parametrize(
    "name",
    ["../../x", "/tmp/x", "", " ", ".", "..", "a/../b", "~/x", "C:\\x", "nul", "a\0", "a" * 300],
)
@pytest.mark.parametrize("option", ["experiment", "wandb_project"])
def test_a_name_that_leads_elsewhere_is_refused(option, name):
    with pytest.raises(ValueError, match=rf"^--{option} .* give a name such as mnist") as caught:
        check_name(option, name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["mnist", "faces/smiling", "a b", "ünï", "v1.2", "-x"])
def test_a_name_of_a_folder_is_a_name(name):
    check_name("experiment", name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--experiment=../../x"], "--experiment '../../x' is a path that leads elsewhere"),
        (["--wandb_project=../x"], "--wandb_project '../x' is a path that leads elsewhere"),
        (["--data.batch_size=null"], "data.batch_size: Expected an int. Got value: null"),
        (["--model.beta=null"], "model.beta: Expected a float. Got value: null"),
    ],
)
def test_options_that_nobody_means_are_refused(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    never = ["--trainer.max_epochs=0", "--trainer.logger=false"]
    assert error(capsys, "fit", "--config=smoke.yaml", *never, *arguments).startswith(message)
    assert not list(tmp_path.iterdir())


def test_what_a_stranger_wrote_reaches_no_terminal(capsys):
    said = error(capsys, "fit", "--config=smoke.yaml", "--model.beta=\x1b[31mred\x07")
    assert said == r"model.beta: Expected a float. Got value: \x1b[31mred\x07"


@pytest.mark.parametrize("kind", [*training.__all__, *datamodules.__all__])
def test_the_parser_knows_the_type_of_every_setting(kind):
    """An inherited annotation whose names its module lacks would be passed over without a word."""
    kind = getattr(training, kind, None) or getattr(datamodules, kind)
    if isinstance(kind, type) and issubclass(kind, (LightningModule, LightningDataModule)):
        parser = ArgumentParser()
        parser.add_class_arguments(kind)
        assert "Unvalidated" not in parser.format_help()


def test_data_modules_of_ones_own(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = error(
        capsys, "fit", "--config=smoke.yaml", "--data=pytorch_lightning.LightningDataModule"
    )
    assert said.startswith("The data module must say what its images are")


def test_no_subcommand_and_no_arguments(capsys):
    assert "{fit,validate,test,predict" in error(capsys)
    assert "required" in error(capsys, "fit")
    assert "there is no subcommand 'fitt' (did you mean fit?)" in error(capsys, "fitt")


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
