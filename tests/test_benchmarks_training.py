import json
import resource
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from tables import check_tables

from benchmarks import footprint as model_of_memory, loading, memory, scale, training
from benchmarks.footprint import MemoryModel, chain, deep, deepest, footprint
from benchmarks.growth import Axis, Growth, power_law
from benchmarks.measure import write
from benchmarks.steps import TINY, Bare, RandomImages, training_step
from lightning_ecinn.datamodules import CelebAHQ, DrawnFaces
from lightning_ecinn.training import IBINN

NETWORK = loading._network


@pytest.fixture(autouse=True)
def no_processes(monkeypatch, tmp_path):
    """Children are slow: what they would measure is made up, growing with the arguments."""

    def child(module, **arguments):
        if module == "benchmarks.training":
            return {"seconds": 1.0, "faults": 5.0}
        found = footprint(arguments["settings"])
        (within, between), batch = found.growing(arguments["reversible"]), arguments["batch"]
        peak = 100 + (found.constant + batch * (2 * within + 3 * between) + 5e6) / 1e6
        return {"imported": 100.0, "built": 101.0, "peak": peak, "seconds": 1.0}

    for benchmark in (training, memory):
        monkeypatch.setattr(benchmark, "in_child", child)
    monkeypatch.setattr(loading, "_network", lambda name, data: tiny(data))


def tiny(data):
    settings = {"blocks": [1], "widths": [4], "dropouts": [0.0], "fc_blocks": 0}
    return Bare(data.image_shape, data.num_classes, lr=1e-6, **settings)


@pytest.mark.parametrize("benchmark", [training, memory, scale, loading])
def test_rows_fit_columns_and_numbers_are_finite(benchmark, tmp_path):
    tables = benchmark.run(quick=True)
    check_tables(tables)
    write("name", tables, tmp_path)
    kinds = {path.suffix for path in tmp_path.iterdir()}
    assert kinds == ({".md", ".json", ".png"} if benchmark is scale else {".md", ".json"})
    assert len(json.loads((tmp_path / "name.json").read_text())["tables"]) == len(tables)


def test_training_shows_every_variant():
    steps, under_lightning, allocator = training.run(quick=True)
    names = [row[1] for row in steps.rows]
    assert names == ["plain", "ours", "ours, bfloat16", "ours, reversible"]
    assert steps.rows[0][4] == 1  # plain beside itself
    assert under_lightning.rows[0][0] == "tiny"
    assert [row[0] for row in allocator.rows] == ["given back (default)", "kept"]


def test_a_bare_step_is_that_of_lightning(monkeypatch):
    """One step of a Trainer on the same batch, with the same noise, gives the same weights."""
    settings = {"lr": 0.05, "dropouts": [0.0, 0.0], "fc_dropout": 0.0}
    ours = TINY.build(**settings)
    theirs = IBINN(**ours.hparams)
    theirs.load_state_dict(ours.state_dict())
    data = RandomImages((1, 8, 8), 2, size=4, batch_size=4)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    options |= {"enable_model_summary": False, "limit_val_batches": 0, "accelerator": "cpu"}
    batches = []

    def seeded(module, batch, batch_idx):
        batches.append(batch)
        torch.manual_seed(3)

    monkeypatch.setattr(IBINN, "on_train_batch_start", seeded)
    pl.Trainer(max_steps=1, gradient_clip_val=0.5, **options).fit(theirs, data)
    step = training_step(ours, batches[0][:2], clip=0.5)
    torch.manual_seed(3)
    step()
    expected = dict(theirs.named_parameters())
    for name, value in ours.named_parameters():
        torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize("settings", [chain(3), deep(64, 1)])
def test_the_footprint_counts_the_parameters_of_the_real_network(settings):
    expected = sum(p.numel() for p in IBINN(**settings).parameters())
    assert footprint(settings).parameters == expected


def test_the_footprint_of_a_hand_worked_chain():
    """Per image and block 2 x 64 hidden and 16 output channels at 7x7; 16 channels go in."""
    found = footprint(chain(3))
    assert found.hidden == 3 * (2 * 64 + 16) * 49
    assert found.largest == (2 * 64 + 16 + 16) * 49
    assert found.inputs == (3 + 1) * 16 * 49  # and into the DCT


@pytest.mark.parametrize("reversible", [False, True])
def test_the_memory_model_finds_the_law_that_made_the_peaks(reversible):
    cases = [(chain(2), 128), (chain(8), 128), (chain(4), 16), (deep(64, 1), 2)]
    found, batches = [footprint(settings) for settings, _ in cases], [b for _, b in cases]
    truth = MemoryModel(reversible, 2.5, 0.125, 30e6)
    peaks = [truth.predicted(f, batch) for f, batch in zip(found, batches, strict=True)]
    fitted = MemoryModel.fit(found, batches, peaks, reversible)
    assert [fitted.inner, fitted.between, fitted.rest] == pytest.approx([2.5, 0.125, 30e6], 1e-3)


def test_the_deepest_network_fits_and_the_next_one_does_not():
    model, limit = MemoryModel(True, 3.0, 0.2, 5e7), 1.5e9
    depth = deepest(64, 8, limit, model)
    assert depth > 1
    inside, outside = (footprint(deep(64, depth + k)) for k in (0, 1))
    assert model.predicted(inside, 8) <= limit < model.predicted(outside, 8)
    assert deepest(64, 8, 1e6, model) == 0


def test_every_side_has_one_width_for_each_stage():
    for side in model_of_memory.SIDES:
        settings = deep(side, 1)
        assert len(settings["blocks"]) == len(settings["widths"]) == len(settings["dropouts"])


def test_a_power_law_is_recovered():
    sizes = np.array([2.0, 10, 100, 1000])
    assert power_law(sizes, 3 * sizes**0.7) == pytest.approx((3, 0.7))
    growth = Growth(Axis("pixels", (16, 32, 64), None, power=2), {"training": [9, 4, 16]})
    assert growth.law("training", last=2)[1] == pytest.approx(1)  # 4 times the pixels


def test_the_networks_of_the_experiments_are_those_of_their_files():
    module = NETWORK("faces", DrawnFaces())
    assert module.classifier.config["blocks"] == [3, 6, 6]
    assert module.hparams["optimizer"] == "adamw"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_the_peak_counts_what_was_given_back():
    held = torch.ones(50_000_000)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident = pages * resource.getpagesize() / 1e6
    del held
    assert memory.peak_rss() > 0.99 * resident > 200


def test_made_pictures_are_read_by_the_data_module(tmp_path):
    root = loading.write_celeba_hq(Path(tmp_path) / "data", count=10)
    data = CelebAHQ(root=str(root), cache=str(tmp_path / "cache"))
    data.prepare_data()
    images, labels, _ = next(iter(data.train_dataloader()))
    assert images.shape[1:] == (3, 64, 64)
    assert set(labels.tolist()) == {0, 1}
