"""Class means: each image once, into the checkpoints, whoever made the data module."""

import os
import subprocess
import sys
from pathlib import Path

# isort: off
import lightning_ecinn.torchvision_guard  # noqa: F401  (first: this file is also a script)
# isort: on

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from bars import PlainBars, bars, network, trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from lightning_ecinn import Explainer
from lightning_ecinn.callbacks import BuildClassMeans
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.ecinn.certificates import log_prob_quantile

ROOT = Path(__file__).parents[2]


class Bars(InMemoryDataModule):
    """37 images to train on: no number of processes divides it."""

    def __init__(self):
        super().__init__((1, 8, 8), ["a", "b", "c"], val_size=0, batch_size=4, eval_batch_size=5)

    def load(self, train):
        return bars(37)


def by_hand(module, images):
    """Means and counts of the latents by predicted class, without anything of the callback."""
    with torch.no_grad():
        z, _ = module.classifier.eval().encode(images)
    labels = module.classifier.mixture.logits(z).argmax(1)
    counts = labels.bincount(minlength=3)
    means = [z[labels == k].double().mean(0) if counts[k] else z[0] * 0 for k in range(3)]
    return torch.stack(means), counts


def fit(folder, source, **settings):
    """Means of a network in double precision that does not learn."""
    pl.seed_everything(1)
    module = network(lr=1e-300, optimizer="sgd", weight_decay=0.0).double()
    data = Bars() if source == "ours" else PlainBars()
    trainer(folder, BuildClassMeans(), precision="64-true", **settings).fit(module, datamodule=data)
    return module


@pytest.mark.parametrize("as_float", [False, True])
def test_the_means_are_those_by_hand(tmp_path, as_float):
    module, data = network(), PlainBars(as_float=as_float)
    trainer(tmp_path, BuildClassMeans(), max_epochs=4).fit(module, datamodule=data)
    means, counts = by_hand(module, data.train.tensors[0])
    assert torch.equal(module.classifier.class_counts, counts)
    assert counts.sum() == 37
    assert torch.allclose(module.classifier.class_means.double(), means, atol=1e-5)


def test_the_quantiles_are_those_of_the_training_images(tmp_path):
    module, data = network().double(), PlainBars()
    fitting = trainer(tmp_path, BuildClassMeans(), max_epochs=2, precision="64-true")
    fitting.fit(module, datamodule=data)
    classifier = module.classifier
    assert classifier.has_log_prob_quantiles
    with torch.no_grad():
        log_prob = classifier.log_prob(data.train.tensors[0]).numpy()
    expected = torch.from_numpy(np.quantile(log_prob, np.linspace(0, 1, 1001)))
    assert torch.allclose(classifier.log_prob_quantiles, expected, rtol=1e-9)
    explainer = Explainer(classifier)
    ranks = log_prob_quantile(
        explainer.log_prob(data.train.tensors[0]), classifier.log_prob_quantiles
    )
    # 37 images have the ranks 0, 1/36, ..., 1, up to the spacing of the grid
    even = torch.linspace(0, 1, 37, dtype=torch.float64)
    assert (ranks.sort().values - even).abs().max() < 1.01e-3


def test_float_and_uint8_images_give_the_same_means(tmp_path):
    means = []
    for as_float in (False, True):
        pl.seed_everything(0)
        module, data = network(), PlainBars(as_float=as_float)
        trainer(tmp_path, BuildClassMeans(), max_steps=2).fit(module, datamodule=data)
        means.append(module.classifier.class_means)
    assert torch.allclose(means[0], means[1], atol=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("source", ["ours", "plain"])
def test_any_number_of_processes_gives_the_same_means(tmp_path, source):
    """37 images by 1, 2 and 5 real processes; the plain loaders get Lightning's own sampler."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(tmp_path), source]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two, five = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in (1, 2, 5))
    assert one["class_counts"].sum() == 37
    assert len(one["class_counts"].nonzero()) > 1
    assert one["log_prob_quantiles"].unique().numel() > 37  # compared below, like all the rest
    for other in (two, five):
        assert torch.equal(one["class_counts"], other["class_counts"])
        apart = (one["class_means"] - other["class_means"]).abs()
        assert (apart <= 1e-12 * one["class_means"].abs().clamp(min=1)).all()
        for key in one:  # the batch-norm statistics too: they were estimated again
            assert torch.allclose(one[key].double(), other[key].double(), rtol=1e-9), key


def run_processes(folder, source):
    """For the test above, in a process of its own, because it forks."""
    for number in (5, 2, 1):
        strategy = {"devices": number, "strategy": "ddp_fork"} if number > 1 else {}
        checkpoint = ModelCheckpoint(dirpath=folder / str(number), filename="best")
        pl.seed_everything(1)
        module = network(lr=1e-300, optimizer="sgd", weight_decay=0.0).double()
        data = Bars() if source == "ours" else PlainBars()
        settings = {"precision": "64-true", "max_steps": 1, **strategy}
        trainer(folder, BuildClassMeans(), checkpoint, **settings).fit(module, datamodule=data)
        state = torch.load(folder / str(number) / "best.ckpt", weights_only=True)["state_dict"]
        state = {key.removeprefix("classifier."): value for key, value in state.items()}
        torch.save(state, folder / f"{number}.pt")


def test_last_and_best_explain_without_the_training_set(tmp_path):
    checkpoint = ModelCheckpoint(
        tmp_path, "best", monitor="val/loss", save_last=True, auto_insert_metric_name=False
    )
    module, data = network(), PlainBars(90)
    trainer(tmp_path, BuildClassMeans(), checkpoint, max_epochs=3).fit(module, datamodule=data)
    assert {path.name for path in tmp_path.iterdir()} == {"best.ckpt", "last.ckpt"}
    for path in tmp_path.iterdir():
        saved = torch.load(path, weights_only=True)
        assert {"optimizer_states", "lr_schedulers", "loops"} <= saved.keys()  # can be resumed
        explainer = Explainer.from_checkpoint(path)
        means, counts = by_hand(explainer, data.train.tensors[0])
        assert torch.equal(explainer.classifier.class_counts, counts)
        assert torch.allclose(explainer.classifier.class_means.double(), means, atol=1e-5)
        log_prob = explainer.log_prob(data.train.tensors[0])
        quantiles = explainer.classifier.log_prob_quantiles
        assert torch.allclose(quantiles[[0, -1]], torch.stack(log_prob.aminmax()), rtol=1e-4)
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(best[key], value) for key, value in module.state_dict().items())


def test_batch_norm_statistics_are_those_of_the_training_set(tmp_path):
    """After re-estimation the statistics of the first norm are the averages over its inputs."""
    module, data = network(noise=0.0), PlainBars(64, batch_size=64)
    trainer(tmp_path, BuildClassMeans(), max_epochs=2).fit(module, datamodule=data)
    norm = next(m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d))
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        module.classifier.eval().encode(data.train.tensors[0])
    batch = seen[0].transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, batch.mean(1), atol=0.05)
    assert torch.allclose(norm.running_var, batch.var(1), rtol=0.05)
    assert norm.momentum == 0.1

    keep = network()
    before = {k: v.clone() for k, v in keep.state_dict().items() if "running" in k}
    fixed = trainer(tmp_path, BuildClassMeans(batch_norm=False), limit_train_batches=0)
    fixed.fit(keep, datamodule=data)
    assert all(torch.equal(keep.state_dict()[key], value) for key, value in before.items())


def test_statistics_of_a_witness_stay(tmp_path):
    module = network(realism=1.0, recognition=1.0, optimizer="adamw")
    trainer(tmp_path, BuildClassMeans(), max_epochs=1).fit(module, datamodule=PlainBars())
    norms = [m for m in module.realism.witness.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(m.num_batches_tracked > 0 for m in norms)


@pytest.mark.parametrize(("begins", "is_frozen"), [(0.0, True), (0.99, False)])
def test_statistics_that_a_critic_froze_stay(tmp_path, begins, is_frozen):
    module = network(realism=1.0, realism_from=begins, optimizer="adamw", lr=1e-300)
    norm = next(m for m in module.classifier.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_mean.fill_(3.0)
    running = trainer(tmp_path, BuildClassMeans(), max_epochs=2)
    running.fit(module, datamodule=PlainBars())
    assert bool((norm.running_mean == 3).all()) == is_frozen
    assert module.classifier.class_counts.sum() > 0


def test_a_class_nobody_is_classified_as_is_named(tmp_path):
    module = network(lr=1e-30)
    with torch.no_grad():
        module.classifier.mixture.component_means[1:] += 1e3
    with pytest.warns(UserWarning, match="classified as middle, below: nothing can be explained"):
        trainer(tmp_path, BuildClassMeans(), max_steps=1).fit(module, datamodule=PlainBars())
    assert module.classifier.class_counts.tolist() == [37, 0, 0]


def test_loaders_without_batches_are_refused(tmp_path):
    class Odd(PlainBars):
        def train_dataloader(self):
            chunks = torch.arange(36).split(6)
            return DataLoader(self.train, batch_size=None, sampler=chunks)

    with pytest.raises(ValueError, match=r"give it a batch_size.*InMemoryDataModule"):
        trainer(tmp_path, BuildClassMeans()).fit(network(), datamodule=Odd())


def test_loaders_handed_to_fit_work(tmp_path):
    module, data = network(), PlainBars()
    fitted = trainer(tmp_path, BuildClassMeans())
    fitted.fit(module, train_dataloaders=data.train_dataloader())
    assert module.classifier.class_counts.sum() == 37


def test_an_interrupted_training_gets_no_means(tmp_path):
    class Interrupt(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            raise KeyboardInterrupt

    module = network()
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(tmp_path, BuildClassMeans(), Interrupt()).fit(module, datamodule=PlainBars())
    assert not module.classifier.class_counts.any()


if __name__ == "__main__":
    run_processes(Path(sys.argv[1]), sys.argv[2])
