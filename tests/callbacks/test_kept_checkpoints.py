"""Every checkpoint that a fit keeps explains, has a true name, and is what loggers were given."""

from contextlib import ExitStack

import pytest
import pytorch_lightning as pl
import torch
from bars import PlainBars, network, trainer
from disk import full_disk
from pytorch_lightning.callbacks import (
    EMAWeightAveraging,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.loggers.utilities import _scan_checkpoints
from torch.optim.swa_utils import SWALR

from lightning_ecinn import Explainer
from lightning_ecinn.callbacks import BuildClassMeans, RunCheckpoint
from lightning_ecinn.callbacks.run import CHECKPOINT
from lightning_ecinn.whole_files import WriteError


class Scores(pl.Callback):
    """Logs a given number after each epoch."""

    def __init__(self, *scores):
        self.scores = scores

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("score", float(self.scores[trainer.current_epoch]))


def read(path):
    return torch.load(path, weights_only=True)


def kept(folder):
    """What each file in the folders below holds, by its name; links are followed."""
    return {str(path.relative_to(folder)): read(path) for path in folder.rglob("*.ckpt")}


def counts(content):
    return int(content["state_dict"]["classifier.class_counts"].sum())


def data():
    return PlainBars(12, batch_size=6)


def best_of(folder, **settings):
    return RunCheckpoint(folder, **{**CHECKPOINT, "monitor": "score", "mode": "max", **settings})


def fit(folder, *callbacks, builder=None, module=None, ckpt_path=None, **settings):
    fitting = trainer(folder, builder or BuildClassMeans(), *callbacks, **settings)
    fitting.fit(module or network(), datamodule=data(), ckpt_path=ckpt_path)
    return fitting


def test_several_best_ones_have_true_names(tmp_path):
    module, checkpoint = network(), best_of(tmp_path, save_top_k=2)
    fit(tmp_path, Scores(1, 3, 0, 2), checkpoint, module=module, max_epochs=4)
    files = kept(tmp_path)
    assert files.keys() == {"best.ckpt", "epoch=1-step=4.ckpt", "epoch=3-step=8.ckpt", "last.ckpt"}
    assert {name: content["epoch"] for name, content in files.items()} == {
        "best.ckpt": 1,
        "epoch=1-step=4.ckpt": 1,
        "epoch=3-step=8.ckpt": 3,
        "last.ckpt": 3,
    }
    assert (tmp_path / "best.ckpt").resolve() == tmp_path / "epoch=1-step=4.ckpt"
    assert checkpoint.best_model_path == str(tmp_path / "epoch=1-step=4.ckpt")
    assert [counts(content) for content in files.values()] == [12] * 4
    best = files["best.ckpt"]["state_dict"]
    assert all(torch.equal(best[key], value) for key, value in module.state_dict().items())


def test_a_file_that_is_no_link_keeps_its_name(tmp_path):
    (tmp_path / "best.ckpt").write_text("somebody's")
    fit(tmp_path, Scores(1), best_of(tmp_path, save_top_k=-1))
    assert (tmp_path / "best.ckpt").read_text() == "somebody's"
    assert (tmp_path / "best-v1.ckpt").resolve() == tmp_path / "epoch=0-step=2.ckpt"


def test_every_kept_file_explains_whichever_callback_saved_it(tmp_path):
    fit(
        tmp_path,
        Scores(1, 2, 3),
        ModelCheckpoint(tmp_path / "all", save_top_k=-1),
        ModelCheckpoint(tmp_path / "steps", every_n_train_steps=1, save_top_k=-1),
        ModelCheckpoint(tmp_path / "light", save_weights_only=True, every_n_epochs=2),
        RunCheckpoint(tmp_path / "link", "{epoch}", "score", save_top_k=2, save_last="link"),
        max_epochs=3,
    )
    files = kept(tmp_path)
    assert {name: counts(content) for name, content in files.items()} == dict.fromkeys(files, 12)
    folders = [name.split("/")[0] for name in files]
    assert {f: folders.count(f) for f in folders} == {"all": 3, "steps": 6, "light": 1, "link": 3}
    assert (tmp_path / "link" / "last.ckpt").is_symlink()
    Explainer.from_checkpoint(tmp_path / "light" / "epoch=1-step=4.ckpt")


class Uploading(CSVLogger):
    """Uploads each checkpoint when it is saved, as Lightning's own loggers do."""

    def __init__(self, folder):
        super().__init__(folder)
        self.times, self.uploads = {}, []

    def after_save_checkpoint(self, checkpoint_callback):
        for time, path, *_ in _scan_checkpoints(checkpoint_callback, self.times):
            self.uploads.append((path, counts(read(path))))
            self.times[path] = time


def test_what_loggers_upload_last_explains(tmp_path):
    logger = Uploading(tmp_path / "log")
    callbacks = Scores(2, 1), best_of(tmp_path / "own")
    fit(tmp_path, *callbacks, logger=logger, max_epochs=2)
    assert dict(logger.uploads[:3]) == {
        str(tmp_path / "own" / f"{n}.ckpt"): 0 for n in ("best", "last")
    }
    assert logger.uploads[-2:] == [
        (str(tmp_path / "own" / f"{name}.ckpt"), 12) for name in ("best", "last")
    ]


def test_averaged_weights_are_tested_as_they_are_saved(tmp_path):
    module = network()
    callbacks = EMAWeightAveraging(decay=0.8), RunCheckpoint(tmp_path, **CHECKPOINT)
    fitting = fit(tmp_path, *callbacks, module=module, max_epochs=3)
    saved = read(tmp_path / "last.ckpt")
    assert not torch.equal(
        *(
            saved[state]["classifier.mixture.component_means"]
            for state in ("state_dict", "current_model_state")
        )
    )
    for run in (fitting.test, fitting.validate):
        run(module, datamodule=data(), ckpt_path=tmp_path / "last.ckpt", verbose=False)
        loss = fitting.callback_metrics
        for key, value in module.state_dict().items():
            assert torch.equal(saved["state_dict"][key], value), key
    alone = trainer(tmp_path)
    alone.validate(network(), datamodule=data(), ckpt_path=tmp_path / "last.ckpt", verbose=False)
    assert torch.equal(alone.callback_metrics["val/loss"], loss["val/loss"])
    assert counts(saved) == 12


def test_the_last_one_has_the_weights_of_stochastic_weight_averaging(tmp_path):
    schedule = SWALR(torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1), 0.1)
    if any(map(callable, schedule.state_dict().values())):
        pytest.skip("this version of PyTorch writes code into checkpoints of averaging")
    averaging = StochasticWeightAveraging(0.01, swa_epoch_start=0.5)
    fit(tmp_path, averaging, RunCheckpoint(tmp_path, **CHECKPOINT), max_epochs=3)
    state = read(tmp_path / "last.ckpt")["state_dict"]
    for key, value in averaging._average_model.named_parameters():
        assert torch.equal(state[key], value), key
    assert state["classifier.class_counts"].sum() == 12


def test_a_full_disk_leaves_what_was_trained_and_says_how_to_build_means(tmp_path):
    with ExitStack() as stack:

        class Filling(BuildClassMeans):
            def build(self, trainer, pl_module):
                super().build(trainer, pl_module)
                stack.enter_context(full_disk(10_000))

        callbacks = Scores(2, 1), best_of(tmp_path / "own")
        with pytest.raises(WriteError) as error:
            fit(tmp_path, *callbacks, builder=Filling(), max_epochs=2)
    path = tmp_path / "own" / "best.ckpt"
    assert str(error.value).startswith(f"{path} could not be written: File too large; this ")
    assert "checkpoint and 1 more stayed as trained, without class means" in str(error.value)
    assert f"`python -m lightning_ecinn means --ckpt_path {path}`" in str(error.value)
    assert {name: counts(content) for name, content in kept(tmp_path).items()} == {
        "own/best.ckpt": 0,
        "own/last.ckpt": 0,
    }
    assert not list(tmp_path.rglob("*.part"))


def test_a_fast_run_keeps_nothing(tmp_path):
    fit(tmp_path, RunCheckpoint(tmp_path, **CHECKPOINT), fast_dev_run=True)
    assert not list(tmp_path.rglob("*.ckpt"))
