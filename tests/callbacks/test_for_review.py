"""One run with three loggers: what each of them shows to whoever opens it."""

import csv
import json
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import offline_runs
import pytest
import torch
import wandb
from bars import PlainBars, network, trainer
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from lightning_ecinn import CounterfactualGrid, CounterfactualTable, StepCurves, make_callbacks
from lightning_ecinn.callbacks.loggers import end_moment, log_checkpoint
from lightning_ecinn.callbacks.remarks import take_remarks
from lightning_ecinn.callbacks.weights_and_biases import send_pictures

EVERY, EPOCHS, STEPS = 4, 3, 10  # batches of 8 of 80 images
PICTURES = ("image", "counterfactual", "heatmap")
CURVES = {f"train/{name}_step" for name in ("loss", "l_x", "l_y", "bpd_paper", "accuracy")}
CURVES |= {"train/lr", "train/grad_norm"}


@pytest.fixture(scope="module")
def board():
    return pytest.importorskip("tensorboard", reason="TensorBoard is an optional package")


class Norms(StepCurves):
    """Notes the gradient's norm of every step."""

    def __init__(self):
        self.seen = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        grads = torch.cat([p.grad.flatten() for p in pl_module.parameters() if p.grad is not None])
        self.seen.append(float(grads.norm()))

    on_fit_start = on_train_batch_start = on_train_batch_end = lambda self, *_: None


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviewed")
    loggers, norms = [CSVLogger(folder, name="", version="")], Norms()
    with suppress(ModuleNotFoundError):  # an optional package
        loggers.append(TensorBoardLogger(folder, name="board", version=""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("WANDB_DATA_DIR", str(folder))
        wandb.finish()  # a run that another test began would be used again
        wandb.teardown()
        loggers.append(WandbLogger(save_dir=folder))
        drawn = [CounterfactualTable(count=30), CounterfactualGrid(name="mine")]
        callbacks = make_callbacks(norms, *drawn)
        own = {"logger": loggers, "log_every_n_steps": EVERY, "gradient_clip_val": 0.05}
        there = trainer(folder, *callbacks, max_epochs=EPOCHS, **own)
        torch.manual_seed(0)
        module, data = network(), PlainBars(80)
        there.fit(module, datamodule=data)
        there.test(module, datamodule=data)
        log_checkpoint(there, {})
        wandb.finish()
        wandb.teardown()
    return SimpleNamespace(folder=folder, norms=norms.seen, remarks=take_remarks(folder))


@pytest.fixture(scope="module")
def records(reviewed):
    """Of the offline run, as W&B's own reader gives them."""
    (run,) = (reviewed.folder / "wandb").glob("offline-run-*")
    return offline_runs.records(run)


@pytest.fixture(scope="module")
def history(records):
    return [record["history"]["item"] for record in records if "history" in record]


@pytest.fixture(scope="module")
def table(reviewed):
    with (reviewed.folder / "pictures" / "counterfactuals-table" / "table.csv").open() as file:
        return list(csv.DictReader(file))


def due():
    return list(range(EVERY, EPOCHS * STEPS + 1, EVERY))


def test_curves_over_steps_in_weights_and_biases(history, reviewed):
    rows = [item for item in history if "train/loss_step" in item]
    assert [row["trainer/global_step"] + 1 for row in rows] == due()
    assert all({*row} >= CURVES for row in rows)
    assert [row["epoch"] for row in rows] == [(step - 1) // STEPS for step in due()]
    assert [row["train/lr"] for row in rows] == [0.01] * len(rows)
    norms = [reviewed.norms[step - 1] for step in due()]
    assert max(norms) > 0.05, "clipping would not be seen"
    assert [row["train/grad_norm"] for row in rows] == pytest.approx(norms, rel=1e-4)


def test_epochs_keep_their_names(history, reviewed):
    """Averages of epochs stand where they stood, and files of metrics know nothing else."""
    means = [item for item in history if "train/loss" in item]
    assert [item["trainer/global_step"] + 1 for item in means] == [10, 20, 30]
    assert not any("train/loss_step" in item for item in means)
    metrics = json.loads((reviewed.folder / "metrics.json").read_text())
    known = {*metrics["latest"]}.union(*metrics["epochs"])
    assert "train/loss" in known
    assert not known & CURVES


def test_curves_over_steps_in_a_table(reviewed):
    with (reviewed.folder / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss_step"]]
    assert [int(row["step"]) + 1 for row in rows] == due()
    assert all(row[key] for row in rows for key in CURVES)


def test_curves_and_pictures_in_tensorboard(board, reviewed, table):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    shown = EventAccumulator(str(reviewed.folder / "board"), size_guidance={"images": 0})
    shown.Reload()
    for key in CURVES:
        assert [one.step + 1 for one in shown.Scalars(key)] == due(), key
    assert {f"counterfactuals/{name}" for name in PICTURES} <= {*shown.Tags()["images"]}
    assert "counterfactuals/mine" in shown.Tags()["images"]
    words = shown.Tensors("counterfactuals/table/text_summary")[0].tensor_proto.string_val[0]
    lines = words.decode().splitlines()
    assert lines[0].startswith("| source | target | alpha | posterior | log p quantile | holds |")
    assert len(lines) == 2 + len(table)


def test_the_table_in_the_run_folder(reviewed, table):
    assert len(table) == 30
    assert list(table[0]) == [
        "file", "source", "target", "alpha", "posterior", "log p quantile", "holds", "reason"
    ]  # fmt: skip
    names = {"top", "middle", "below"}
    for row in table:
        assert {row["source"], row["target"]} < names
        assert row["source"] != row["target"]
        assert (row["holds"] == "1") == (row["reason"] == "")
        shown = Image.open(reviewed.folder / "pictures" / "counterfactuals-table" / row["file"])
        assert shown.size == (3 * 112 + 2 * 4, 112)


def test_the_table_in_weights_and_biases(records, history, table):
    (item,) = [item for item in history if "counterfactuals/table._type" in item]
    assert item["counterfactuals/table.nrows"] == len(table)
    (artifact,) = [record["artifact"] for record in records if "artifact" in record]
    files = {one["path"]: one["local_path"] for one in artifact["manifest"]["contents"]}
    content = json.loads(Path(files["counterfactuals/table.table.json"]).read_text())
    assert content["columns"] == [*PICTURES, *list(table[0])[1:]]
    for cells, row in zip(content["data"], table, strict=True):
        said = dict(zip(content["columns"], cells, strict=True))
        assert (said["source"], said["target"]) == (row["source"], row["target"])
        assert said["alpha"] == pytest.approx(float(row["alpha"]))
        assert said["holds"] == (row["holds"] == "1")
        assert all(said[name]["path"] in files for name in PICTURES)


def test_pictures_of_a_table_are_there_without_it(history, reviewed, table):
    """One moment, one row: the slider moves all of them, the grid among them."""
    (item,) = [item for item in history if "counterfactuals/image.count" in item]
    (run,) = (reviewed.folder / "wandb").glob("offline-run-*")
    for name in PICTURES:
        files = item[f"counterfactuals/{name}.filenames"]
        assert len(files) == len(table)
        assert all((run / "files" / file).is_file() for file in files)
        captions = item[f"counterfactuals/{name}.captions"]
        assert captions[0].startswith(f"{table[0]['source']} → {table[0]['target']}: ")
    assert "counterfactuals/mine._type" in item
    assert "test/accuracy" in item
    first = np.asarray(Image.open(run / "files" / item["counterfactuals/image.filenames"][0]))
    strip = Image.open(reviewed.folder / "pictures" / "counterfactuals-table" / "000.png")
    assert np.array_equal(first, np.asarray(strip)[:, :112])


def test_validation_over_epochs_and_the_best(records, history):
    over = {}
    for record in records:
        metric = record.get("metric", {})
        over[metric.get("glob_name", metric.get("name"))] = metric.get("step_metric")
    assert over["val/*"] == "epoch"
    summary = {}
    for record in records:
        summary |= record.get("summary", {}).get("update", {})
    losses = [item["val/loss"] for item in history if "val/loss" in item]
    assert len(losses) == EPOCHS
    assert summary["val/loss"] == {"min": min(losses), "last": losses[-1]}
    assert isinstance(summary["test/accuracy"], float | int)


def test_a_checkpoint_is_not_copied_on_this_disk(records, reviewed):
    assert [one.text for one in reviewed.remarks if "offline" in one.text]
    assert not [one for one in records if one.get("artifact", {}).get("type") == "model"]


class Run:
    """What a run gets; an online one."""

    def __init__(self):
        self.id, self.step, self.rows, self.now, self.artifacts = "x1", 0, [], {}, []
        self.settings = SimpleNamespace(mode="online")

    def log(self, values, commit):
        self.now |= values
        if commit:
            self.rows.append(self.now)
            self.step, self.now = self.step + 1, {}

    def log_artifact(self, artifact, aliases):
        self.artifacts.append((artifact, aliases))


def on(run, folder, **settings):
    logger = WandbLogger(save_dir=folder, mode="disabled")
    logger._experiment = run
    return logger, trainer(folder, logger=logger, **settings)


def test_pictures_of_two_moments_are_two_rows(tmp_path):
    run = Run()
    logger, there = on(run, tmp_path)
    black = np.zeros((4, 4), np.uint8)
    send_pictures(logger, {"a/x": [black]}, 5)
    send_pictures(logger, {"a/x": [black], "a/y": [black]}, 5)
    send_pictures(logger, {"a/x": [black]}, 9)
    end_moment(there)
    end_moment(there)  # nothing waits: no empty row
    shown = [{key: len(v) for key, v in row.items() if key[:2] == "a/"} for row in run.rows]
    assert shown == [{"a/x": 2, "a/y": 1}, {"a/x": 1}]
    assert [row["trainer/global_step"] for row in run.rows] == [5, 9]


def test_a_checkpoint_is_uploaded_with_its_metrics(tmp_path):
    run = Run()
    _, there = on(run, tmp_path, enable_checkpointing=True)
    log_checkpoint(there, {})
    assert [one.text for one in take_remarks(tmp_path)] == [
        "There is no checkpoint, so no checkpoint is uploaded."
    ]
    best = tmp_path / "best.ckpt"
    best.write_bytes(b"weights")
    there.checkpoint_callback.best_model_path = str(best)
    log_checkpoint(there, {"test/accuracy": 0.9, "test/bpd": None})
    ((artifact, aliases),) = run.artifacts
    assert artifact.metadata == {"test/accuracy": 0.9, "test/bpd": None}
    assert (artifact.type, aliases) == ("model", ["latest", "best"])
    assert list(artifact.manifest.entries) == ["model.ckpt"]


@pytest.mark.parametrize("count", [0, 101])
def test_too_many_rows(count):
    with pytest.raises(ValueError, match=f"count must be from 1 to 100, got {count}"):
        CounterfactualTable(count=count)


def test_an_earlier_table_is_left_alone(tmp_path, trained):
    for number in (1, 2):
        there = trainer(tmp_path, CounterfactualTable(count=2, seed=number))
        there.test(trained, datamodule=PlainBars(), verbose=False)
    folders = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert folders == ["counterfactuals-table", "counterfactuals-table-2"]


def test_nothing_to_show_is_said(tmp_path):
    there = trainer(tmp_path, CounterfactualTable(count=2))
    there.test(network(), datamodule=PlainBars(), verbose=False)
    assert not (tmp_path / "pictures").exists()
    (said,) = [one.text for one in take_remarks(tmp_path) if "counterfactuals-table" in one.text]
    assert "No class means" in said


def test_without_loggers_or_log_steps_nothing_is_computed(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("lightning_ecinn.callbacks.step_curves.get_total_norm", asked.append)
    for own in ({"logger": False}, {"log_every_n_steps": 0}):
        settings = {"logger": CSVLogger(tmp_path), "log_every_n_steps": 1, **own}
        trainer(tmp_path, StepCurves(), **settings).fit(network(), datamodule=PlainBars(8))
    assert asked == []
