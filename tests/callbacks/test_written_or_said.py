"""What a run can't write, draw or log ends no training, is said, and leaves nothing half done."""

import json
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from bars import PlainBars, network, trainer
from disk import full_disk
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import TensorDataset

from lightning_ecinn import Counterfactual, Explainer
from lightning_ecinn.callbacks import (
    BuildClassMeans,
    ClassSamples,
    CounterfactualGrid,
    CounterfactualWriter,
    MetricsJSON,
)
from lightning_ecinn.callbacks.end_of_run import DrawsAtTheEnd
from lightning_ecinn.callbacks.loggers import log_figure, log_numbers
from lightning_ecinn.callbacks.new_files import save_new, save_new_text
from lightning_ecinn.callbacks.prediction_writer import others_waiting
from lightning_ecinn.callbacks.remarks import take_remarks
from lightning_ecinn.figures import picture_grid
from lightning_ecinn.figures.tables import as_json
from lightning_ecinn.whole_files import WriteError


class Broken(DrawsAtTheEnd):
    name = "broken"

    def draw(self, trainer, pl_module):
        raise RuntimeError("no\nmemory")


def remarks(folder):
    return [one.text for one in take_remarks(folder)]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def short(folder, *callbacks, **settings):
    return trainer(folder, *callbacks, limit_train_batches=2, limit_val_batches=1, **settings)


def test_a_training_outlives_pictures_that_can_not_be_drawn_or_written(tmp_path):
    (tmp_path / "pictures").write_text("a file in the way")
    there = short(tmp_path, BuildClassMeans(), Broken(), ClassSamples(1, 1), MetricsJSON())
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        there.fit(network(), datamodule=PlainBars())
    said = [str(one.message) for one in seen]
    found = remarks(tmp_path)
    assert all(said.count(text) == 1 for text in found)
    assert len(found) == 2
    assert found[0].startswith(f"{tmp_path}/pictures/samples-epoch001.png could not be written: ")
    assert found[1] == "broken could not be drawn: RuntimeError: no memory"
    assert "val/loss" in json.loads((tmp_path / "metrics.json").read_text())["latest"]
    assert remarks(tmp_path) == [], "taken once"


def test_a_full_disk_leaves_nothing_of_a_picture(tmp_path):
    there = trainer(tmp_path)
    figure = picture_grid([[torch.rand(3, 64, 64)]])
    with full_disk(500), pytest.warns(UserWarning, match=r"pictures/a\.png could not be written: "):
        assert log_figure(there, figure, "a") is None
    assert files(tmp_path) == []
    assert log_figure(there, figure, "a").stat().st_size > 500


def test_metrics_that_can_not_be_written_are_said_and_come_when_they_can(tmp_path):
    class Freed(MetricsJSON):
        def on_train_epoch_end(self, trainer, pl_module):
            with full_disk(0 if trainer.current_epoch == 0 else 10**6):
                super().on_train_epoch_end(trainer, pl_module)

    there = short(tmp_path, Freed(), max_epochs=2)
    with pytest.warns(UserWarning, match=r"not all in metrics\.json: .*metrics\.json could not be"):
        there.fit(network(), datamodule=PlainBars())
    assert len(json.loads((tmp_path / "metrics.json").read_text())["epochs"]) == 2
    assert files(tmp_path) == ["metrics.json"]


def test_nobody_elses_metrics_are_overwritten(tmp_path):
    for _ in range(2):
        short(tmp_path, MetricsJSON(), max_epochs=2).fit(network(), datamodule=PlainBars())
    assert files(tmp_path) == ["metrics-2.json", "metrics.json"]


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    def write(number):
        save_new(tmp_path / "a" / "same.txt", lambda file: file.write(b"%d" % number))

    threads = [threading.Thread(target=write, args=(k,)) for k in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(path.read_text()) for path in tmp_path.glob("a/*")) == list(range(16))


def test_what_can_not_be_written_leaves_nothing(tmp_path):
    with full_disk(3), pytest.raises(WriteError, match=r"a\.csv could not be written"):
        save_new_text(tmp_path / "a.csv", "x" * 10)
    assert files(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"file/a\.csv could not be written"):
        save_new_text(tmp_path / "file" / "a.csv", "x")


def test_names_of_pictures_stay_in_their_folder(tmp_path):
    figure = picture_grid([[torch.zeros(1, 8, 8)]])
    names = ["../../a", "b/c", "\x1b[31m", "..", "猫" * 200, "=d|e"]
    for name in names:
        path = log_figure(trainer(tmp_path), figure, name)
        assert path.parent == tmp_path / "pictures"
        assert path.name.isprintable()
    assert len(files(tmp_path)) == len(names)


class Unplugged(CSVLogger):
    """The network goes away after the first numbers."""

    calls = 0

    def log_metrics(self, metrics, step=None):
        self.calls += 1
        raise ConnectionError("no route to host")

    def finalize(self, status):
        raise OSError("no route to host")

    def after_save_checkpoint(self, callback):
        raise ConnectionError("no route to host")


def test_a_logger_that_fails_ends_no_run_and_takes_nothing_from_the_others(tmp_path):
    bad, good = Unplugged(tmp_path / "bad"), CSVLogger(tmp_path / "good", name="", version="")
    checkpoint = pl.callbacks.ModelCheckpoint(tmp_path)
    there = short(
        tmp_path, MetricsJSON(), checkpoint, logger=[bad, good], max_epochs=2, log_every_n_steps=1
    )
    with pytest.warns(UserWarning, match="Unplugged fails, so not everything is logged: no route"):
        there.fit(network(), datamodule=PlainBars())
    log_numbers(there, {"after/all": 1.0, "after/none": float("nan")})
    assert bad.calls > 2, "asked again"
    assert len(remarks(tmp_path)) == 1
    written = (tmp_path / "good" / "metrics.csv").read_text()
    assert "val/loss" in written
    assert "after/all" in written
    assert "after/none" not in written
    assert there.callback_metrics["after/none"].isnan()


@pytest.mark.parametrize("settings", [{"logger": False}, {"fast_dev_run": True}])
def test_without_loggers(tmp_path, settings):
    there = trainer(tmp_path, BuildClassMeans(), MetricsJSON(), ClassSamples(1, 1), **settings)
    there.fit(network(), datamodule=PlainBars())
    assert (tmp_path / "metrics.json").exists()
    assert remarks(tmp_path) == []


def test_tensorboard_that_takes_no_pictures(tmp_path):
    board = TensorBoardLogger.__new__(TensorBoardLogger)  # an optional package
    board.__class__ = type("Board", (TensorBoardLogger,), {"experiment": property(lambda _: 1 / 0)})
    there = trainer(tmp_path)
    there.loggers = [board]
    with pytest.warns(UserWarning, match="Board fails, so not everything is logged: ZeroDivision"):
        path = log_figure(there, picture_grid([[torch.zeros(1, 8, 8)]]), "a")
    assert path.exists()


def test_predictions_that_can_not_be_written(trained, tmp_path):
    predicting = trainer(tmp_path, CounterfactualWriter())
    with full_disk(100):
        with pytest.raises(WriteError, match=r"counterfactuals\.npz could not be written"):
            predicting.predict(trained, datamodule=PlainBars(), return_predictions=False)
        with pytest.warns(UserWarning, match=r"counterfactuals\.npz could not be written"):
            kept = predicting.predict(trained, datamodule=PlainBars())
    assert sum(len(part.input) for part in kept) == 30
    assert files(tmp_path) == []
    assert [one.fails for one in take_remarks(tmp_path)] == [True]


def test_no_process_waits_for_a_first_one_that_fails():
    barriers = []
    there = SimpleNamespace(strategy=SimpleNamespace(barrier=barriers.append))
    with pytest.raises(OSError, match="full"), others_waiting(there, "it"):
        raise OSError("full")
    with others_waiting(there, "it"):
        pass
    assert barriers == ["it", "it"]


def test_predictions_come_back(trained, tmp_path):
    data = PlainBars()
    parts = trainer(tmp_path).predict(trained, datamodule=data)
    assert all(isinstance(part, Counterfactual) for part in parts)
    images = torch.cat([part.input[:, 0] for part in parts])
    assert torch.equal(images, data.test.tensors[0] / 255)
    here = parts[0]
    assert here.to("cpu") is here
    assert {here.to("meta").image.device.type, here.to("meta").defined.device.type} == {"meta"}


def test_a_counterfactual_elsewhere_keeps_its_certificate(trained):
    cf = Explainer(trained.classifier).explain(PlainBars().test.tensors[0][:3], 1, undefined="keep")
    moved = cf.to("cpu:0")  # another name of the same device
    assert moved is not cf
    assert moved.certificate.reason == cf.certificate.reason


@pytest.mark.parametrize(
    ("command", "setting", "message"),
    [
        ("fit", "limit_train_batches", "Nothing was trained: limit_train_batches is 0"),
        ("fit", "max_epochs", "Nothing was trained: max_epochs is 0"),
        ("fit", "max_steps", "Nothing was trained: max_steps is 0"),
        ("validate", "limit_val_batches", "Nothing was validated: limit_val_batches is 0"),
        ("test", "limit_test_batches", "Nothing was tested: limit_test_batches is 0"),
        ("predict", "limit_predict_batches", "Nothing was predicted: limit_predict_batches is 0"),
    ],
)
def test_nothing_is_no_success(tmp_path, command, setting, message):
    there = trainer(tmp_path, MetricsJSON(), Broken(), **{setting: 0})
    with pytest.raises(ValueError, match=message):
        getattr(there, command)(network(), datamodule=PlainBars())


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_split_without_images_is_no_success(tmp_path, command):
    data = PlainBars()
    data.test = TensorDataset(*(tensor[:0] for tensor in data.test.tensors))
    with pytest.raises(ValueError, match=r"Nothing was \w+ed: the data have no image for it"):
        getattr(trainer(tmp_path, MetricsJSON()), command)(network(), datamodule=data)


def test_after_a_training_an_empty_test_is_only_said(tmp_path):
    there = short(tmp_path, MetricsJSON(), limit_test_batches=0)
    module = network()
    there.fit(module, datamodule=PlainBars())
    with pytest.warns(UserWarning, match="Nothing was tested"):
        there.test(module, datamodule=PlainBars(), verbose=False)


@pytest.fixture
def nowhere(trained):
    """A network whose class means are all the same: no step leads from one to another."""
    module = network()
    module.classifier.load_state_dict(trained.classifier.state_dict())
    module.classifier.class_means.zero_()
    return module


def test_counterfactuals_that_are_their_images_are_no_result(nowhere, tmp_path):
    predicting = trainer(tmp_path, CounterfactualWriter())
    with pytest.warns(
        UserWarning, match="0 of 90 counterfactuals exist, .*: 30 are of the image's"
    ):
        predicting.predict(nowhere, datamodule=PlainBars(), return_predictions=False)
    assert [one.fails for one in take_remarks(tmp_path)] == [True]
    with np.load(tmp_path / "counterfactuals.npz") as arrays:
        assert arrays["defined"].sum() <= 30


@pytest.mark.parametrize("selection", ["every_class", "one_image", "step_sweep"])
def test_a_grid_of_copies_is_not_drawn(nowhere, tmp_path, selection):
    drawing = trainer(tmp_path, CounterfactualGrid(selection, source=1, target=2, t=[0.0, 1.0]))
    with pytest.warns(UserWarning, match="is left out: No step leads to any of its"):
        drawing.test(nowhere, datamodule=PlainBars(), verbose=False)
    assert files(tmp_path) == []


def test_counterfactuals_that_a_grid_lacks_are_counted(trained, tmp_path):
    module = network()
    module.classifier.load_state_dict(trained.classifier.state_dict())
    module.classifier.class_counts[2] = 0
    drawing = trainer(tmp_path, CounterfactualGrid())
    with pytest.warns(UserWarning, match="no step leads to 4 of 6 counterfactuals"):
        drawing.test(module, datamodule=PlainBars(), verbose=False)
    assert len(files(tmp_path)) == 1


def test_numbers_that_json_does_not_have_are_null():
    content = {"a": [float("nan"), 1.5, (float("-inf"), None)], "b": {"c": float("inf"), "d": "x"}}
    expected = {"a": [None, 1.5, [None, None]], "b": {"c": None, "d": "x"}}
    assert json.loads(as_json(content)) == expected
