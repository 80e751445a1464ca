"""A checkpoint is enough: its run's configuration is found, said, and changed by what is given."""

import json
import shutil
from collections import Counter
from functools import wraps

import pytest
import torch
import yaml
from answered_ahead import answered_ahead
from jsonargparse import Namespace

from lightning_ecinn import GenerativeClassifier, shipped
from lightning_ecinn.cli.checkpoint_options import fit_to_checkpoint
from lightning_ecinn.cli.configuration import add_configuration
from lightning_ecinn.cli.main import main
from lightning_ecinn.commands.unbuilt import UnbuiltModule

QUIET = ["--trainer.logger=false"]


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy of the trained run, seen from a folder of one's own."""
    shutil.copytree(trained.folder, tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "run"


@pytest.fixture
def counted(monkeypatch):
    """How often files of weights are read, by name, and how often networks are built."""
    counts = Counter()
    load, init = torch.load, GenerativeClassifier.__init__

    def counting_load(path, *args, **kwargs):
        counts[getattr(path, "name", str(path)).rpartition("/")[2]] += 1
        return load(path, *args, **kwargs)

    @wraps(init)  # what a network takes is read off its signature
    def counting_init(self, *args, **kwargs):
        counts["networks"] += 1
        init(self, *args, **kwargs)

    monkeypatch.setattr(torch, "load", counting_load)
    monkeypatch.setattr(GenerativeClassifier, "__init__", counting_init)
    return counts


def best(run):
    return str(run / "checkpoints" / "best.ckpt")


@pytest.mark.parametrize("command", ["validate", "test", "predict", "means", "evaluate"])
def test_the_path_of_a_checkpoint_is_all_it_takes(run, counted, caplog, command):
    more = (
        ["--count=5", "--bootstrap=5", "--deletion=2", "--pages=false"]
        if command == "evaluate"
        else []
    )
    cli = main([command, "--ckpt_path", best(run), *more, *QUIET])
    assert f"Using the checkpoint's configuration {run / 'config.yaml'}" in caplog.text
    assert cli.run_folder.parents[2].name == "elsewhere", "not in the run that it looks at"
    assert cli.run_folder.parent.name == "smoke", "the experiment's"
    assert cli.datamodule.val_size == 20
    assert counted["best.ckpt"] == 1, "a checkpoint is read once"
    built = 1 if command == "evaluate" else 2
    assert counted["networks"] == built, "its own, after a cheap one that shows that it fits"
    assert isinstance(cli.model, UnbuiltModule) == (command == "evaluate")


def test_comparing_takes_the_first_ones_data(run, counted, caplog):
    given = ["--ckpt", best(run), "--ckpt", str(run / "checkpoints" / "last.ckpt")]
    few = ["--count=1", "--measure=3", "--methods", "ecinnh"]
    cli = main(["compare", *given, *few, *QUIET])
    found = json.loads((cli.run_folder / "comparison.json").read_text())
    assert len(found["models"]) == 2
    assert f"configuration {run / 'config.yaml'}" in caplog.text
    assert counted["best.ckpt"] == counted["last.ckpt"] == 1
    assert counted["networks"] == 2


def test_flags_and_files_change_it(run, tmp_path):
    (tmp_path / "more.yaml").write_text("data:\n  init_args:\n    eval_batch_size: 7\n")
    given = ["--ckpt_path", best(run), "--config", str(tmp_path / "more.yaml")]
    cli = main(["test", *given, "--data.seed=3", "--experiment=other", *QUIET])
    assert cli.datamodule.eval_batch_size == 7
    assert cli.datamodule.seed == 3
    assert cli.run_folder.parent.name == "other"
    assert cli.datamodule.val_size == 20, "the run's"


def test_a_complete_experiment_is_used_as_it_is(run):
    words = ["test", "--config", "smoke.yaml", f"--ckpt_path={best(run)}"]
    assert add_configuration(words) == words
    assert add_configuration(["fit", f"--ckpt_path={best(run)}"])[1] == f"--ckpt_path={best(run)}"


def test_the_newest_run_of_an_experiment(run, tmp_path, monkeypatch):
    (tmp_path / "home" / "runs" / "mine").mkdir(parents=True)
    shutil.move(run, tmp_path / "home" / "runs" / "mine" / "first")
    monkeypatch.chdir(tmp_path / "home")
    words = add_configuration(["test", "--ckpt_path=best", "--experiment=mine"])
    config = yaml.safe_load(words[1].removeprefix("--config="))
    assert config["experiment"] == "smoke"
    assert "default_root_dir" not in config["trainer"]
    assert "ckpt_path" not in config


@pytest.mark.parametrize("name", sorted(path.stem for path in shipped.MODELS.glob("*.ckpt")))
def test_shipped_models_bring_theirs(name):
    _, config, *words = add_configuration(["test", "--ckpt_path", f"pretrained:{name}"])
    content = yaml.safe_load(config.removeprefix("--config="))
    assert content["model"]["class_path"] == "lightning_ecinn.IBINN"
    assert words == ["--ckpt_path", f"pretrained:{name}"]


def test_a_checkpoint_without_a_configuration(run, tmp_path, capsys):
    lonely = shutil.copy(best(run), tmp_path / "lonely.ckpt")
    with pytest.raises(SystemExit):
        main(["test", f"--ckpt_path={lonely}"])
    error = capsys.readouterr().err
    assert "there is no configuration beside it" in error
    assert "give a complete experiment" in error


@pytest.mark.parametrize("command", ["test", "evaluate", "compare", "means"])
def test_what_is_no_checkpoint_is_said(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for given, message in (
        (["--ckpt_path", "nothere.ckpt"], "No checkpoint at"),
        (["--ckpt_path=text.ckpt"], "text.ckpt is not a checkpoint of a lightning_ecinn model"),
        ([], "required"),
    ):
        with pytest.raises(SystemExit):
            main([command, *given])
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["text.ckpt"]


def test_what_means_writes_is_enough_too(run, tmp_path):
    out = tmp_path / "again.ckpt"
    main(["means", "--ckpt_path", best(run), "--out", str(out)])
    cli = main(["test", "--ckpt_path", str(out), *QUIET])
    assert cli.datamodule.val_size == 20


def test_an_ordinary_network_is_refused_where_a_flow_is_needed(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = [word for word in tiny if not word.startswith("--model")]
    given = ["--trainer.max_epochs=1", "--trainer.callbacks=null", "--test_after_fit=false"]
    cli = main(["fit", "--config=smoke.yaml", "--config=conv_net.yaml", *data, *given, *QUIET])
    path = cli.run_folder / "checkpoints" / "last.ckpt"
    for command, message in (("evaluate", "need an invertible"), ("means", "need a generative")):
        with pytest.raises(SystemExit):
            main([command, f"--ckpt_path={path}", *QUIET])
        assert message in capsys.readouterr().err


def test_earlier_names_of_options_are_understood(run):
    given = ["--count=3", "--bootstrap=5", "--deletion=0", "--steps", "tipping", "0.5"]
    cli = main(["evaluate", "--ckpt_path", best(run), *given, "--step=[0.9,0.1]", *QUIET])
    found = json.loads((cli.run_folder / "evaluation.json").read_text())["settings"]
    assert found["alphas"] == ["tipping", 0.5]
    assert found["convincing_step"] == [0.9, 0.1]


@answered_ahead
def test_a_file_that_is_not_there_is_said_first(capsys):
    with pytest.raises(SystemExit):
        main(["import-ibinn", "nothere.pt"])
    assert "No checkpoint at" in capsys.readouterr().err


def test_an_experiment_elsewhere_is_not_searched():
    with pytest.raises(ValueError, match="leads elsewhere"):
        add_configuration(["test", "--ckpt_path=best", "--experiment=../../x"])


@pytest.mark.parametrize("content", [b"model: [", b"a: 1\na: 2\n", b"\xff\xfe"])
def test_a_damaged_configuration_is_named(run, capsys, content):
    (run / "config.yaml").write_bytes(content)
    with pytest.raises(SystemExit):
        main(["test", "--ckpt_path", best(run), *QUIET])
    assert f"error: The checkpoint's configuration {run / 'config.yaml'}" in capsys.readouterr().err


def test_what_the_checkpoint_overrides_is_said(caplog):
    arguments = Namespace(blocks=[24, 24], widths=[4, 4], init_from=None)
    network = {"blocks": [1, 1], "widths": [4, 4]}
    fit_to_checkpoint(arguments, "my.ckpt", network, None, must_match=False)
    assert "The network is the one in my.ckpt: blocks [1, 1], not [24, 24]" in caplog.text
    assert arguments.blocks == [1, 1]
    caplog.clear()
    fit_to_checkpoint(arguments, "my.ckpt", network, None, must_match=False)
    assert not caplog.text


@pytest.mark.parametrize(
    "shown",
    [
        "explain --ckpt_path pretrained:mnist digit.png",
        "export --ckpt_path pretrained:mnist --out model",
    ],
)
def test_help_of_what_needs_no_trainer_shows_how(capsys, shown):
    with pytest.raises(SystemExit) as stop:
        main([shown.partition(" ")[0], "--help"])
    assert stop.value.code == 0
    assert f"python -m lightning_ecinn {shown}" in capsys.readouterr().out
