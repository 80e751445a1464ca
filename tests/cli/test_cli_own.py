"""The recipe that fits itself to the data: what is null is found, said, kept, and never changed."""

import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lightning_ecinn import Explainer
from lightning_ecinn.cli import found
from lightning_ecinn.cli.main import main
from lightning_ecinn.cli.requeued import find_stopped_run
from lightning_ecinn.runs import STOPPED
from lightning_ecinn.training import minutes

QUIET = [
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.callbacks=null",
    "--trainer.logger=false",
]


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    """So few that how long they take means nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minutes, "ENOUGH", 0.0)
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Grey pictures, 18 x 20, in files for colour, three of a class for one of the other."""
    folder, rows = tmp_path_factory.mktemp("pictures"), ["file,label"]
    for number in range(80):
        is_rare = number % 4 == 0
        levels = np.random.default_rng(number).integers(0, 30, (20, 18)).astype(np.uint8)
        levels[4:14, 11 * is_rare + 2 : 11 * is_rare + 5] = 120
        Image.fromarray(levels).convert("RGB").save(folder / f"{number}.png")
        rows.append(f"{number}.png,{'rare' if is_rare else 'common'}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def own(pictures, tmp_path_factory):
    """What is typed for these pictures, and for a training that takes no time."""
    cache = tmp_path_factory.mktemp("cache")
    data = [f"--data.root={pictures}", f"--data.cache={cache}", "--data.batch_size=20"]
    data.append("--data.crop=false")
    return ["--config=own.yaml", *data, "--model.blocks=[1,1]", *QUIET]


@pytest.fixture(scope="module")
def run(own, tmp_path_factory):
    """Folder of a run in less time than there can be."""
    folder = tmp_path_factory.mktemp("own") / "run"
    main(["fit", *own, "--minutes=0.001", f"--trainer.default_root_dir={folder}"])
    return folder


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_what_is_null_is_found_and_said_and_the_runs_configuration_is_whole(own, tmp_path, caplog):
    with caplog.at_level("INFO"):
        cli = main(
            ["fit", *own, "--minutes=0.001", "--trainer.default_root_dir", str(tmp_path / "run")]
        )
    said = [line.partition(" (")[0] for line in lines(caplog)]
    assert {"resolution: 16", "channels: 1", "balanced: true", "flip: false"} <= {*said}
    assert not any(line.startswith("blocks") for line in said), "these were given"
    assert sum(line.startswith("epochs: 1 (each ") for line in lines(caplog)) == 1
    assert sum(line.startswith("Each step sees") for line in lines(caplog)) == 1

    config = yaml.safe_load((cli.run_folder / "config.yaml").read_text())
    model, data = config["model"]["init_args"], config["data"]["init_args"]
    assert (data["resolution"], data["channels"], data["balanced"]) == (16, 1, True)
    assert (data["flip"], data["max_shift"]) == (False, 1), "a bar left or right is the class"
    assert (model["widths"], model["dropouts"], model["fc_width"]) == ([32, 48], [0, 0], 48)
    assert (model["means_lr_factor"], model["noise"]) == (3.0, 0.03)
    assert 1 <= model["haar_gain"] <= 8
    assert config["trainer"]["max_epochs"] == cli.trainer.max_epochs == 1
    assert cli.model.hparams["haar_gain"] == model["haar_gain"]
    assert cli.datamodule.draws_equally
    assert not cli.datamodule.mirrors


def test_checkpoints_say_how_pictures_were_read(own, run, tmp_path):
    path = run / "checkpoints" / "last.ckpt"
    assert not Explainer.from_checkpoint(path).crop
    assert Explainer.from_checkpoint(path, crop=True).crop
    again = tmp_path / "again.ckpt"
    main(["means", *own, f"--ckpt_path={path}", f"--out={again}"])
    assert not Explainer.from_checkpoint(again).crop
    assert Explainer.from_checkpoint("pretrained:mnist_small").crop


def test_counting_epochs_changes_nothing_of_the_training(own, run, tmp_path, caplog):
    given = ["--trainer.max_epochs=1", f"--trainer.default_root_dir={tmp_path / 'run'}"]
    with caplog.at_level("INFO"):
        main(["fit", *own, *given])
    (line,) = [line for line in lines(caplog) if line.startswith("max_epochs: 1 (as given")]
    assert line.endswith("minutes count only where trainer.max_epochs is null)")
    first, second = (
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        for folder in (run, tmp_path / "run")
    )
    assert first["global_step"] == second["global_step"]
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name


@pytest.fixture
def nothing_is_found(monkeypatch):
    def refuse(*_):
        raise AssertionError("found anew")

    monkeypatch.setattr(found, "find_settings", refuse)
    monkeypatch.setattr(found, "_instantiated", refuse)


@pytest.mark.usefixtures("nothing_is_found")
def test_a_run_that_goes_on_keeps_what_its_checkpoint_has(own, run, tmp_path, caplog):
    before = yaml.safe_load((run / "config.yaml").read_text())
    checkpoint = f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}"
    rest = [checkpoint, "--minutes=50", f"--trainer.default_root_dir={tmp_path}"]
    with caplog.at_level("INFO"):
        cli = main(["fit", *own, *rest])
    assert "epochs: 1 (as before; --trainer.max_epochs makes them more)" in lines(caplog)
    after = yaml.safe_load((cli.run_folder / "config.yaml").read_text())
    assert after["model"] == before["model"]
    assert after["data"] == before["data"]
    assert after["trainer"]["max_epochs"] == 1


@pytest.mark.usefixtures("nothing_is_found")
def test_a_checkpoint_alone_says_enough_but_not_the_epochs(own, run, tmp_path, capsys):
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes((run / "checkpoints" / "last.ckpt").read_bytes())
    rest = [f"--ckpt_path={alone}", f"--trainer.default_root_dir={tmp_path / 'test'}"]
    cli = main(["test", *own, *rest, "--data.balanced=false"])
    config = yaml.safe_load((run / "config.yaml").read_text())["model"]["init_args"]
    assert cli.model.hparams["noise"] == config["noise"]
    assert cli.datamodule.image_shape == (1, 16, 16)
    with pytest.raises(SystemExit):
        main(["fit", *own, *rest])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: minutes is 20, which counts the epochs of a new training")
    assert last.endswith("give --trainer.max_epochs.")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--minutes=0"], "minutes is 0"),
        (["--minutes=-3"], "minutes is -3"),
        (["--model.clamp=null"], "clamp"),
        (["--data.val_share=null"], "val_share"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(own, tmp_path, capsys, given, sentence):
    with pytest.raises(SystemExit):
        main(["fit", *own, *given, f"--trainer.default_root_dir={tmp_path}"])
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_other_models_have_no_settings_to_find(tiny, tmp_path, capsys):
    given = [argument for argument in tiny if not argument.startswith("--model")]
    folder = f"--trainer.default_root_dir={tmp_path}"
    with pytest.raises(SystemExit):
        main(["fit", "--config=oracle_mnist.yaml", *given, folder, "--model.widths=null"])
    assert "widths" in capsys.readouterr().err.splitlines()[-1]


def test_a_requeued_job_knows_the_run_that_found_its_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "own" / "first"
    run.mkdir(parents=True)
    checkpoint = run / "stopped.ckpt"
    checkpoint.touch()
    asked = {"trainer": {"max_epochs": None}, "model": {"init_args": {"blocks": None, "lr": 1}}}
    ran = {"trainer": {"max_epochs": 7}, "model": {"init_args": {"blocks": [8, 8], "lr": 1}}}
    (run / "config.yaml").write_text(yaml.safe_dump(ran))
    (run / STOPPED).write_text(json.dumps({"job": "1", "checkpoint": str(checkpoint)}))

    def find(configuration):
        return find_stopped_run("1", yaml.safe_dump(configuration), "own", None)

    assert find(asked) == (run / STOPPED, checkpoint)
    other = {**asked, "model": {"init_args": {"blocks": None, "lr": 2}}}
    assert find(other) is None
    assert find({**asked, "model": {"init_args": {"blocks": [4, 4], "lr": 1}}}) is None
