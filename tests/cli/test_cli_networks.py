"""Ordinary networks on the command line: fitted, tested, resumed, and what they leave."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lightning_ecinn import load_network
from lightning_ecinn.cli.main import main

FILES = ["--config=smoke.yaml", "--config=conv_net.yaml"]
SIZE = ["--model.widths=[4,8]", "--model.lr=0.02"]


@pytest.fixture(scope="module")
def data(tiny):
    quiet = ["--trainer.logger=false", "--trainer.limit_val_batches=null"]
    quiet += ["--trainer.limit_train_batches=null", "--trainer.limit_test_batches=null"]
    return [*[a for a in tiny if not a.startswith("--model")], *quiet]


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    """A finished run, with every callback of an invertible network asked for too."""
    folder = tmp_path_factory.mktemp("fitted") / "run"
    callbacks = ["--trainer.callbacks=CounterfactualGrid", "--trainer.callbacks+=ClassSamples"]
    arguments = [*data, *SIZE, *callbacks, "--model.dropout=0.2", "--trainer.max_epochs=4"]
    cli = main(["fit", *FILES, *arguments, f"--trainer.default_root_dir={folder}"])
    return SimpleNamespace(folder=folder, cli=cli, best=folder / "checkpoints" / "best.ckpt")


def error(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    (line,) = [x for x in said.splitlines() if x.startswith("error")]
    return line.removeprefix("error: ")


def test_fit_learns_and_leaves_a_run(fitted):
    content = json.loads((fitted.folder / "metrics.json").read_text())
    assert content["epochs"][-1]["train/loss"] < content["epochs"][0]["train/loss"]
    assert {"val/loss", "val/accuracy", "test/loss", "test/accuracy"} <= content["latest"].keys()
    assert not (fitted.folder / "pictures").exists()
    network = load_network(fitted.best)
    assert network.config["widths"] == [4, 8]
    assert network.image_shape == (1, 28, 28)
    images = fitted.cli.datamodule.dataset("test").images
    with torch.no_grad():
        right = network(images).argmax(1) == fitted.cli.datamodule.dataset("test").labels
    assert right.float().mean() == pytest.approx(content["latest"]["test/accuracy"])


def test_a_replaced_model_makes_no_noise(data, capsys, tmp_path):
    root = f"--trainer.default_root_dir={tmp_path}"
    main(["fit", *FILES, *data, *SIZE, "--trainer.max_epochs=1", root])
    said = capsys.readouterr()
    assert "This run lies in" in said.out
    assert not [line for line in said.err.splitlines() if "warning" in line.lower()]


def test_the_shape_comes_from_the_checkpoint(fitted, data, tmp_path):
    root = f"--trainer.default_root_dir={tmp_path}"
    cli = main(["test", *FILES, *data, f"--ckpt_path={fitted.best}", root])
    assert cli.model.network.config == load_network(fitted.best).config
    then, now = (
        {k: v for k, v in run.metrics.latest.items() if k.startswith("test/")}
        for run in (fitted.cli, cli)
    )
    assert now == pytest.approx(then)


def test_predict_writes_posteriors(fitted, data, tmp_path, caplog):
    root = f"--trainer.default_root_dir={tmp_path}"
    cli = main(["predict", *FILES, *data, f"--ckpt_path={fitted.best}", root])
    with np.load(tmp_path / "posteriors.npz") as arrays:
        assert list(arrays["class_names"]) == [str(k) for k in range(10)]
        expected = load_network(fitted.best).posterior(cli.datamodule.dataset("test").images)
        np.testing.assert_allclose(arrays["posteriors"], expected.detach(), atol=1e-5)
    assert not (tmp_path / "counterfactuals.npz").exists()
    assert "Wrote the posteriors of 60 images" in caplog.text


def test_resumed_it_ends_where_the_whole_training_ends(data, tmp_path):
    """With dropout and constant steps, stopped after the first epoch."""
    common = ["fit", *FILES, *data, *SIZE, "--model.dropout=0.5", "--model.schedule=constant"]
    common += ["--test_after_fit=false"]

    def fit(name, *arguments):
        folder = tmp_path / name
        return main([*common, f"--trainer.default_root_dir={folder}", *arguments]).run_folder

    whole = fit("whole", "--trainer.max_epochs=2")
    fit("parts", "--trainer.max_epochs=1")
    resumed = fit("parts", "--trainer.max_epochs=2", "--ckpt_path=last")
    assert resumed.name == "run-2"
    first, second = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (whole, resumed)
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_evaluating_needs_something_trained(capsys, command):
    said = error(capsys, command, *FILES)
    assert said.startswith(f"{command}: there is nothing trained to look at. Give --ckpt_path")


def test_what_does_not_go_together_is_said(fitted, trained, data, capsys, tmp_path):
    flow = trained.folder / "checkpoints" / "best.ckpt"
    at = f"--trainer.default_root_dir={tmp_path}"
    said = error(capsys, "test", *FILES, at, f"--ckpt_path={flow}")
    assert "holds a generative classifier, where an ordinary network is asked for" in said
    said = error(capsys, "test", FILES[0], at, f"--ckpt_path={fitted.best}")
    assert "holds an ordinary network, and counterfactuals need an invertible one" in said
    inception = ["--config=smoke.yaml", "--config=inception_v3.yaml"]
    said = error(capsys, "test", *inception, at, f"--ckpt_path={fitted.best}")
    assert "is another one: kind conv (here inception_v3)" in said
    said = error(capsys, "fit", *FILES, *data, at, f"--ckpt_path={fitted.best}")
    assert "is another one: widths [4, 8] (here [16, 32, 64])" in said
    said = error(capsys, "means", *FILES, *data, at, f"--ckpt_path={fitted.best}")
    assert said.startswith("Class means need a generative classifier")
    said = error(capsys, "import-ibinn", str(fitted.best), *FILES, at)
    assert said == "import-ibinn needs model.class_path IBINN, got SmallCNN."


@pytest.mark.parametrize("ours", ["network", "classifier"])
def test_data_of_another_shape_are_refused(fitted, trained, capsys, tmp_path, ours):
    (tmp_path / "other.py").write_text(OTHER_DATA)
    files = FILES if ours == "network" else FILES[:1]
    path = fitted.best if ours == "network" else trained.folder / "checkpoints" / "best.ckpt"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        arguments = [*files, "--data=other.Other", f"--ckpt_path={path}"]
        arguments += ["--trainer.logger=false", f"--trainer.default_root_dir={tmp_path}"]
        said = error(capsys, "test", *arguments, "--trainer.accelerator=cpu")
    assert "image_shape [1, 28, 28], but the data's is [1, 12, 12]" in said


OTHER_DATA = """
import torch
from lightning_ecinn.datamodules import InMemoryDataModule

class Other(InMemoryDataModule):
    def __init__(self):
        super().__init__((1, 12, 12), [str(k) for k in range(10)], val_size=10)

    def load(self, train):
        return torch.zeros(40, 1, 12, 12, dtype=torch.uint8), torch.arange(40) % 10
"""


def test_a_fragment_alone_names_what_is_missing(capsys, tmp_path):
    said = error(capsys, "fit", "--config=conv_net.yaml")
    assert said.startswith("required: fit.data; give a complete experiment, as in --config mnist")
    (tmp_path / "half.yaml").write_text("data:\n  init_args:\n    val_size: 3\n")
    said = error(capsys, "fit", f"--config={tmp_path / 'half.yaml'}", "--config=smoke.yaml")
    assert said.startswith("--config half.yaml changes data, but nothing before it says which")
    assert said.endswith("as in --config mnist.yaml --config half.yaml")
    heading = "#   python -m lightning_ecinn fit --config a.yaml --config b.yaml\n"
    (tmp_path / "b.yaml").write_text(f"{heading}model:\n  init_args:\n    lr: 3\n")
    said = error(capsys, "fit", f"--config={tmp_path / 'b.yaml'}")
    assert said.endswith("as in --config a.yaml --config b.yaml")
