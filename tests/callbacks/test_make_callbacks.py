"""The callbacks of a run: which, and in which order."""

import pytorch_lightning as pl

from lightning_ecinn import (
    BuildClassMeans,
    CounterfactualGrid,
    HeatmapComparison,
    MetricsJSON,
    RunCheckpoint,
    make_callbacks,
)


def kinds(callbacks):
    return [type(callback).__name__ for callback in callbacks]


def test_class_means_come_before_the_pictures_and_checkpoints_last():
    found = kinds(make_callbacks(CounterfactualGrid(), HeatmapComparison()))
    assert found[0] == "BuildClassMeans"
    assert found[-1] == "RunCheckpoint"
    own = found.index("CounterfactualGrid")
    assert found[own : own + 2] == ["CounterfactualGrid", "HeatmapComparison"]
    assert {"StopOnNonFiniteLoss", "PosteriorWriter", "MetricsJSON", "CounterfactualWriter"} < {
        *found
    }
    assert len(set(found)) == len(found)


def test_each_may_be_ones_own():
    means, metrics = BuildClassMeans(batch_norm=False), MetricsJSON()
    checkpoint = RunCheckpoint(monitor="val/accuracy", mode="max")
    found = make_callbacks(class_means=means, metrics=metrics, checkpoint=checkpoint)
    assert {id(one) for one in (means, metrics, checkpoint)} <= {id(one) for one in found}
    assert len(found) == len(make_callbacks())


def test_lightning_takes_them_as_they_are(tmp_path):
    trainer = pl.Trainer(
        callbacks=make_callbacks(), default_root_dir=tmp_path, logger=False, accelerator="cpu"
    )
    mine = [name for name in kinds(trainer.callbacks) if name in kinds(make_callbacks())]
    assert mine == kinds(make_callbacks())
    assert trainer.checkpoint_callback.monitor == "val/loss"
    assert trainer.checkpoint_callback.save_last
