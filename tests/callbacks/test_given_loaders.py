"""Trainers that are given loaders and no DataModule."""

import pytest
from bars import PlainBars, network, trainer
from torch.utils.data import DataLoader, DistributedSampler

from lightning_ecinn.callbacks import (
    BuildClassMeans,
    ClassSamples,
    CounterfactualGrid,
    HeatmapComparison,
)
from lightning_ecinn.callbacks.given_loaders import with_given_loaders
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import read_first_images

METHODS = ["ecinnh", "saliency"]


def pictures(folder):
    return sorted(path.stem for path in folder.glob("pictures/*.png"))


def test_callbacks_use_the_trainers_loaders(tmp_path, trained):
    data, module = PlainBars(), network(lr=1e-6)
    module.load_state_dict(trained.state_dict())
    there = trainer(
        tmp_path,
        BuildClassMeans(),
        CounterfactualGrid(split="val"),
        HeatmapComparison(split="val", methods=METHODS, count=1, measure=2),
        ClassSamples(every_n_epochs=1, per_class=1),
        limit_train_batches=1,
    )
    there.fit(module, data.train_dataloader(), data.val_dataloader())
    drawn = ["counterfactuals-every-class-convincing", "heatmaps", "samples-epoch001"]
    assert pictures(tmp_path) == drawn
    assert there.datamodule is None
    testing = trainer(tmp_path / "test", CounterfactualGrid())
    testing.test(module, data.test_dataloader(), verbose=False)
    assert pictures(tmp_path / "test") == drawn[:1]


def test_loaders_of_the_module_itself(tmp_path, trained):
    class Own(IBINN):
        train_dataloader = PlainBars().train_dataloader
        val_dataloader = test_dataloader = PlainBars().test_dataloader

    module = Own(**trained.hparams)
    module.classifier.load_state_dict(trained.classifier.state_dict())
    grid = CounterfactualGrid()
    trainer(tmp_path, BuildClassMeans(), grid, limit_train_batches=1).fit(module)
    assert len(pictures(tmp_path)) == 1


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (CounterfactualGrid(), "CounterfactualGrid needs test images, but the trainer was given"),
        (HeatmapComparison(), "HeatmapComparison needs test images.*choose another split"),
    ],
)
def test_missing_images_are_missed_before_the_first_step(tmp_path, callback, message):
    data, module = PlainBars(), network()
    there = trainer(tmp_path, callback)
    with pytest.raises(ValueError, match=message):
        there.fit(module, data.train_dataloader(), data.val_dataloader())
    assert there.global_step == 0


def test_missing_training_images_are_missed_before_testing(tmp_path, trained):
    there = trainer(tmp_path, HeatmapComparison(methods=METHODS))
    with pytest.raises(ValueError, match=r"needs train images.*choose baselines: black"):
        there.test(trained, PlainBars().test_dataloader(), verbose=False)
    black = HeatmapComparison(methods=METHODS, baselines="black", count=1, measure=1)
    trainer(tmp_path, black).test(trained, PlainBars().test_dataloader(), verbose=False)
    assert pictures(tmp_path) == ["heatmaps"]


def test_a_loader_that_is_shared_out_is_read_as_a_whole(tmp_path, trained):
    data = PlainBars()
    there = trainer(tmp_path)
    there.strategy.connect(trained)
    shared = DistributedSampler(data.test, num_replicas=2, rank=1)
    loop = there.fit_loop.epoch_loop.val_loop
    loop._combined_loader = type("", (), {"iterables": [DataLoader(data.test, 4, sampler=shared)]})
    with with_given_loaders(there):
        images, _ = read_first_images(there, "val", limit=100)
    assert images.equal(data.test.tensors[0])
