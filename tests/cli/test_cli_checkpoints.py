"""Checkpoints on the command line: found by name, their network's shape kept, others refused."""

import json

import numpy as np
import pytest
import torch

from lightning_ecinn import shipped
from lightning_ecinn.cli.main import main


@pytest.fixture
def at(trained, tmp_path):
    """Arguments of a command that looks at the trained run and writes somewhere else."""

    def arguments(command, **options):
        options = {"ckpt_path": trained.folder / "checkpoints" / "best.ckpt", **options}
        options["trainer.default_root_dir"] = tmp_path / command
        given = [f"--{name}={value}" for name, value in options.items()]
        return [command, "--config=smoke.yaml", *given, "--trainer.logger=false"]

    return arguments


def only_data(tiny):
    return [argument for argument in tiny if not argument.startswith("--model")]


@pytest.mark.parametrize("command", ["validate", "test"])
def test_the_networks_shape_comes_from_the_checkpoint(at, tiny, trained, tmp_path, command):
    """smoke.yaml asks for another network; the numbers are those of the run itself."""
    arguments = [f"--trainer.limit_{name}_batches=null" for name in ("val", "test")]
    cli = main([*at(command), *only_data(tiny), *arguments])
    assert cli.model.classifier.config["widths"] == [4, 4]
    stage = "val" if command == "validate" else "test"
    latest = json.loads((tmp_path / command / "metrics.json").read_text())["latest"]
    assert latest[f"{stage}/accuracy"] > 0.8
    if command == "test":  # fitting ended with the same test
        assert latest == pytest.approx({k: v for k, v in trained.metrics.items() if "test/" in k})
        pictures = [path.name for path in (tmp_path / "test" / "pictures").iterdir()]
        assert pictures == ["counterfactuals-every-class-convincing.png"]


def test_predict_writes_one_file(at, tiny, tmp_path):
    cli = main([*at("predict"), *only_data(tiny)])
    with np.load(tmp_path / "predict" / "counterfactuals.npz") as arrays:
        assert arrays["inputs"].shape == (60, 1, 28, 28)
        assert arrays["pictures"].shape == (60, 10, 1, 28, 28)
        assert arrays["inputs"].dtype == arrays["pictures"].dtype == np.uint8
        assert np.array_equal(arrays["inputs"], cli.datamodule.dataset("test").images)
        assert np.array_equal(arrays["targets"], np.tile(np.arange(10), (60, 1)))
        assert (arrays["alphas"][np.arange(60), arrays["sources"]] == 0).all()
        assert np.isfinite(arrays["alphas"]).all()
        assert list(arrays["class_names"]) == [str(k) for k in range(10)]
    assert cli.trainer.predict_loop.predictions == []


def test_predict_one_target_at_the_tipping_point(at, tiny, tmp_path):
    options = {"model.predict_target": 3, "model.predict_alpha": "tipping"}
    main([*at("predict", **options), *only_data(tiny)])
    with np.load(tmp_path / "predict" / "counterfactuals.npz") as arrays:
        assert arrays["pictures"].shape == (60, 1, 1, 28, 28)
        moved = arrays["defined"] & (arrays["sources"][:, None] != 3)
        assert (arrays["posteriors"][moved] <= 0.5 + 1e-3).all()


def test_last_and_best_are_the_newest_of_the_folder(tiny, trained, tmp_path, capsys):
    root = f"--trainer.default_root_dir={trained.folder}"
    arguments = ["validate", "--config=smoke.yaml", *only_data(tiny), "--trainer.logger=false"]
    before = {path: path.stat().st_mtime_ns for path in trained.folder.glob("checkpoints/*")}
    cli = main([*arguments, "--ckpt_path=best", root])
    assert cli.config.validate.ckpt_path == str(trained.folder / "checkpoints" / "best.ckpt")
    assert cli.run_folder.parent == trained.folder  # and what it writes stays with that run
    assert before == {path: path.stat().st_mtime_ns for path in before}


def not_checkpoints(folder):
    (folder / "text.ckpt").write_text("no checkpoint")
    torch.save({"state_dict": {}}, folder / "other.ckpt")
    return [folder / "text.ckpt", folder / "other.ckpt"]


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_file_that_is_no_checkpoint(at, tmp_path, capsys, command, which):
    path = not_checkpoints(tmp_path)[which]
    with pytest.raises(SystemExit):
        main(at(command, ckpt_path=path))
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert line.startswith(f"error: {path} is not a checkpoint of a lightning_ecinn classifier")


@pytest.mark.parametrize("command", ["fit", "test", "predict", "means", "evaluate"])
@pytest.mark.parametrize("is_hostile", [False, True])
def test_weights_that_are_no_numbers_or_too_few(at, trained, tmp_path, capsys, command, is_hostile):
    content = torch.load(trained.folder / "checkpoints" / "best.ckpt", weights_only=True)
    if is_hostile:
        content["classifier"]["fc_width"] = 10**9
    else:
        content["state_dict"]["classifier.mixture.component_means"][0, 0] = float("nan")
    torch.save(content, tmp_path / "bad.ckpt")
    with pytest.raises(SystemExit):
        main(at(command, ckpt_path=tmp_path / "bad.ckpt"))
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert ("larger network than" if is_hostile else "NaN or infinity in its weight") in line


def test_another_network_cannot_be_resumed(at, capsys):
    with pytest.raises(SystemExit):
        main(at("fit"))
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert "is another one" in line
    assert "widths [4, 4] (here [8, 8])" in line


def test_start_from_weights(trained, tiny, tmp_path, monkeypatch, caplog):
    """A name means a file here, else one beside the experiments; the checkpoint needs neither."""
    beside = tmp_path / "shipped"
    beside.mkdir()
    start = beside / "start.ckpt"
    start.write_bytes((trained.folder / "checkpoints" / "best.ckpt").read_bytes())
    smoke = str(shipped.FOLDER / "smoke.yaml")
    monkeypatch.setattr(shipped, "FOLDER", beside)
    arguments = ["--model.init_from=start.ckpt", "--model.init_scale=1.0", "--model.lr=1e-9"]
    arguments += [f"--trainer.default_root_dir={tmp_path / 'run'}", "--trainer.logger=false"]
    cli = main(["fit", f"--config={smoke}", *tiny, *arguments])
    assert f"The network starts from the weights in {start}" in caplog.text
    assert cli.metrics.latest["train/accuracy"] > 0.8, "eight steps from nothing can't do that"

    start.unlink()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    type(cli.model).load_from_checkpoint(last, map_location="cpu")
    arguments = [f"--ckpt_path={last}", f"--trainer.default_root_dir={tmp_path / 'test'}"]
    data = only_data(tiny)
    main(["test", f"--config={tmp_path / 'run' / 'config.yaml'}", *data, *arguments])


def test_weights_of_another_network_are_refused(trained, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = trained.folder / "checkpoints" / "best.ckpt"
    with pytest.raises(SystemExit):
        main(["fit", "--config=smoke.yaml", f"--model.init_from={path}"])
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert "the network in" in line
    assert "widths [4, 4] (here [8, 8])" in line
