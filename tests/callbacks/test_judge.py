"""The judge beside a training: what it learns from, what it says, and what is fitted to it."""

import json
import os
import subprocess
import sys
from pathlib import Path

# isort: off
import lightning_ecinn.torchvision_guard  # noqa: F401  (first: this file is also a script)
# isort: on

import pytest
import pytorch_lightning as pl
import torch
from bars import PlainBars, bars, network, trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from lightning_ecinn import (
    BuildClassMeans,
    CounterfactualGrid,
    Explainer,
    JudgeCounterfactuals,
    load_network,
    make_callbacks,
)
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.training import judge as judge_training
from lightning_ecinn.training.by_image import other_classes
from lightning_ecinn.training.judge import moved_about, new_judge, train_judge

ROOT = Path(__file__).parents[2]
STEP = (0.2, 0.25)
"""So short a step that hardly any counterfactual shows its target."""


_CLASSIFIER = network().classifier


class Bars(PlainBars):
    """240 images to train on; of every ninth to validate with, the label is wrong."""

    def __init__(self):
        super().__init__(240, batch_size=24)
        images, labels = bars(72, seed=2)
        labels[::9] = (labels[::9] + 1) % 3
        self.val = TensorDataset(images, labels)

    def val_dataloader(self):
        return DataLoader(self.val, batch_size=9)


class OurBars(InMemoryDataModule):
    """The same by our own data module, without validation images."""

    def __init__(self, **settings):
        super().__init__(
            (1, 8, 8), ["top", "middle", "below"], **{"val_size": 0, "batch_size": 8, **settings}
        )

    def load(self, train):
        return bars(90 if train else 30, seed=0 if train else 1)


def judging(folder, **settings):
    """The callbacks of a fit whose best checkpoint is not its last one."""
    checkpoint = ModelCheckpoint(folder, "best", monitor="val/loss", mode="max", save_last=True)
    options = {"epochs": 6, "images": 60, **settings}
    return BuildClassMeans(), JudgeCounterfactuals(**options), checkpoint


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with checkpoints, the module, the numbers, and what was said."""
    folder = tmp_path_factory.mktemp("judged")
    pl.seed_everything(3)
    module = network(convincing_step=STEP)
    callbacks = judging(folder, agreement=0.9, calibrate=True)
    fitting = trainer(folder, *callbacks, max_epochs=8)
    fitting.fit(module, datamodule=Bars())
    numbers = {key: value.item() for key, value in fitting.callback_metrics.items()}
    return folder, module, numbers


def looked_at():
    """The 60 of 72 validation images that the callback draws, and their labels."""
    order = torch.randperm(72, generator=torch.Generator().manual_seed(0))[:60]
    return tuple(values[order] for values in Bars().val.tensors)


def counterfactuals(explainer, images):
    """One random other class each, at the convincing step."""
    target = other_classes(images, explainer.posterior(images).argmax(1), 3)
    return explainer.explain(images, target, undefined="keep")


def share_seen(explainer, judge, images):
    cf = counterfactuals(explainer, images)
    return ((judge(cf.image_8bit).argmax(1) == cf.target) & cf.defined).double().mean().item()


def test_the_judge_is_kept_and_knows_the_classes(run):
    judge = load_network(run[0] / "judge.ckpt")
    assert judge.class_names == ("top", "middle", "below")
    images, labels = bars(60, seed=7)
    with torch.no_grad():
        assert (judge(images).argmax(1) == labels).double().mean() > 0.95


def test_the_numbers_are_those_by_hand(run):
    folder, module, numbers = run
    judge, explainer = load_network(folder / "judge.ckpt"), module.explainer
    images, labels = PlainBars().test.tensors  # 30, fewer than it may look at
    with torch.no_grad():
        theirs, ours = judge(images).argmax(1), explainer.posterior(images).argmax(1)
        agreement = share_seen(explainer, judge, images)
    assert numbers["judge/images"] == 30
    assert numbers["judge/accuracy"] == pytest.approx((theirs == labels).double().mean())
    assert numbers["judge/flow_accuracy"] == pytest.approx((ours == labels).double().mean())
    assert numbers["judge/agreement"] == pytest.approx(agreement)
    confidence, correct = explainer.posterior(images).max(1).values, ours == labels
    bins = (confidence * 15).ceil().clamp(1, 15)
    expected = sum(
        (confidence[bins == b] - correct[bins == b].float()).sum().abs() / 30 for b in range(1, 16)
    )
    assert numbers["calibration/ece"] == pytest.approx(float(expected), abs=1e-5)
    assert {"calibration/ece_before", "judge/undefined"} <= numbers.keys()


@pytest.mark.parametrize("name", ["best", "last"])
def test_the_step_is_the_shortest_that_convinces(run, name):
    folder, _, numbers = run
    judge = load_network(folder / "judge.ckpt")
    explainer = Explainer.from_checkpoint(folder / f"{name}.ckpt")
    offset, slope = explainer.convincing_step
    assert slope == STEP[1]
    images, _ = looked_at()
    with torch.no_grad():
        share = share_seen(explainer, judge, images)
        explainer.convincing_step = (round(offset - 0.05, 10), slope)
        shorter = share_seen(explainer, judge, images)
    if name == "last":
        assert offset > STEP[0]
        assert shorter < 0.9 <= share
    if name == "best":
        assert numbers["judge/step_offset"] == pytest.approx(offset)
        assert numbers["judge/step_agreement"] == pytest.approx(share)


@pytest.mark.parametrize("name", ["best", "last"])
def test_the_temperature_is_the_likeliest_of_validation_images(run, name):
    folder, _, numbers = run
    classifier = Explainer.from_checkpoint(folder / f"{name}.ckpt").classifier
    temperature = classifier.mixture.temperature.item()
    assert temperature != 1
    images, labels = looked_at()
    with torch.no_grad():
        scores = classifier.mixture.scores(classifier.encode(images)[0]).double()
    nll = [cross_entropy(scores / factor, labels).item() for factor in (0.98, 1.0, 1.02)]
    assert nll[1] == min(nll)
    if name == "best":
        assert numbers["calibration/temperature"] == pytest.approx(temperature)


def test_the_module_ends_as_the_best_checkpoint(run):
    folder, module, _ = run
    best = Explainer.from_checkpoint(folder / "best.ckpt")
    assert module.explainer.convincing_step == best.convincing_step
    for key, value in best.classifier.state_dict().items():
        assert torch.equal(value, module.classifier.state_dict()[key]), key


def test_a_configuration_of_the_run_means_what_was_fitted(run, tmp_path):
    folder, module, _ = run
    again = network(convincing_step=STEP)
    testing = trainer(tmp_path)
    testing.test(again, Bars(), ckpt_path=folder / "best.ckpt", verbose=False)
    assert again.explainer.convincing_step == module.explainer.convincing_step
    assert again.classifier.mixture.temperature == module.classifier.mixture.temperature


def test_a_run_that_goes_on_has_its_judge_already(run, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("lightning_ecinn.callbacks.judge.train_judge", refuse)

    class Look(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            self.step = pl_module.explainer.convincing_step
            self.temperature = pl_module.classifier.mixture.temperature.item()

    folder, look = run[0], Look()
    module = network(convincing_step=STEP)
    means, judge, checkpoint = judging(tmp_path, agreement=0.9)
    fitting = trainer(tmp_path, means, judge, look, checkpoint, max_epochs=9)
    fitting.fit(module, datamodule=Bars(), ckpt_path=folder / "last.ckpt")
    assert (look.step, look.temperature) == (STEP, 1), "what was fitted is for other weights"
    assert "judge/agreement" in fitting.callback_metrics
    copied, first = (load_network(f / "judge.ckpt").state_dict() for f in (tmp_path, folder))
    assert all(torch.equal(copied[key], first[key]) for key in first)


def test_the_judge_sees_training_images_alone_and_draws_nothing(tmp_path, monkeypatch):
    """The same seed, the same judge, whatever the validation and test images are."""
    found, fitted = [], trainer(tmp_path, BuildClassMeans(), max_steps=1)
    for seed in (1, 2):
        data = OurBars(val_size=9)
        monkeypatch.setattr(data, "load", lambda train, s=seed: bars(90, 0 if train else s))
        fitted.datamodule = data
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        judge = new_judge(_CLASSIFIER, seed=5)
        for _ in train_judge(fitted, judge, epochs=2, minutes=5, seed=5):
            pass
        assert torch.equal(torch.random.get_rng_state(), before)
        assert not judge.network.training
        found.append(judge.state_dict())
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_it_ends_with_the_minutes(tmp_path, monkeypatch):
    clock = iter(range(0, 100_000, 7))
    monkeypatch.setattr(judge_training.time, "monotonic", lambda: next(clock))
    fitted = trainer(tmp_path)
    fitted.datamodule = OurBars(val_size=9)
    epochs = list(train_judge(fitted, new_judge(_CLASSIFIER, 0), epochs=500, minutes=1, seed=0))
    assert len(epochs) < 9  # two batches an epoch, seven seconds each


def test_images_move_by_two_pixels_and_are_mirrored_only_where_the_data_are():
    images = torch.zeros(200, 1, 28, 28)
    images[:, :, 10, 8] = 1
    generator = torch.Generator().manual_seed(0)
    rows, columns = moved_about(images, generator, False)[:, 0].nonzero()[:, 1:].unbind(1)
    assert set(rows.tolist()) == {8, 9, 10, 11, 12}
    assert set(columns.tolist()) == {6, 7, 8, 9, 10}
    columns = moved_about(images, generator, True)[:, 0].nonzero()[:, 2]
    assert set(columns.tolist()) == {6, 7, 8, 9, 10, 17, 18, 19, 20, 21}
    small = torch.rand(5, 1, 8, 8)
    assert torch.equal(moved_about(small, generator, False), small)


def test_where_no_step_convinces_the_best_is_taken_and_said(tmp_path, caplog):
    module = network(convincing_step=(1.9, 0.5), lr=1e-30)
    callbacks = (BuildClassMeans(), JudgeCounterfactuals(1.0, True, epochs=1, images=12))
    with caplog.at_level("INFO"):
        trainer(tmp_path, *callbacks, max_steps=1).fit(module, datamodule=Bars())
    assert "With no convincing step up to 2 + 0.5 alpha_0 the judge sees the target" in caplog.text
    assert "with the paper's 0.8 + 0.5 alpha_0 in" in caplog.text
    assert "An independent network sees the target in" in caplog.text
    assert "of 12 test images" in caplog.text
    assert not (tmp_path / "judge.ckpt").exists()  # nor are there other checkpoints


def test_what_it_can_not_do_is_refused_before_the_training(tmp_path):
    with pytest.raises(ValueError, match=r"agreement is 95; give a share such as 0\.95"):
        JudgeCounterfactuals(agreement=95)
    with pytest.raises(ValueError, match="minutes is 0; give more than 0"):
        JudgeCounterfactuals(minutes=0)
    with pytest.raises(ValueError, match="no BuildClassMeans comes before it"):
        trainer(tmp_path, JudgeCounterfactuals()).fit(network(), datamodule=Bars())
    fitting = trainer(tmp_path, BuildClassMeans(), JudgeCounterfactuals(calibrate=True))
    with pytest.raises(ValueError, match="fitted on validation images, but there are none"):
        fitting.fit(network(), datamodule=OurBars())


def test_an_interrupted_training_gets_no_judge(tmp_path):
    class Interrupt(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            raise KeyboardInterrupt

    means, judge, checkpoint = judging(tmp_path)
    fitting = trainer(tmp_path, means, judge, Interrupt(), checkpoint)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fitting.fit(network(), datamodule=Bars())
    assert not (tmp_path / "judge.ckpt").exists()


def test_a_judge_that_fails_is_remarked_upon(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no room")

    monkeypatch.setattr("lightning_ecinn.callbacks.judge.judged", fail)
    module, (means, judge, checkpoint) = network(), judging(tmp_path, epochs=1)
    with pytest.warns(UserWarning, match="The counterfactuals could not be judged: no room"):
        trainer(tmp_path, means, judge, checkpoint).fit(module, datamodule=Bars())
    assert module.classifier.class_counts.sum() == 240


def test_a_trial_run_judges_a_few_images_and_keeps_no_judge(tmp_path):
    callbacks = judging(tmp_path, agreement=0.9, calibrate=True)
    fitting = trainer(tmp_path, *callbacks, fast_dev_run=1)
    fitting.fit(network(), datamodule=Bars())
    assert fitting.callback_metrics["judge/images"] == 16
    assert not (tmp_path / "judge.ckpt").exists()


def test_it_comes_after_the_class_means_and_before_the_pictures():
    for callbacks in (
        make_callbacks(CounterfactualGrid(), judge=JudgeCounterfactuals()),
        make_callbacks(CounterfactualGrid(), JudgeCounterfactuals()),
    ):
        kinds = [type(one).__name__ for one in callbacks]
        assert kinds[:2] == ["BuildClassMeans", "JudgeCounterfactuals"]
        assert kinds.count("JudgeCounterfactuals") == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_all_processes_agree(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first["step"][0] > STEP[0]
    explainer = Explainer.from_checkpoint(tmp_path / "best.ckpt")
    assert list(explainer.convincing_step) == first["step"]
    assert explainer.classifier.mixture.temperature.item() == first["temperature"]


class _Write(pl.Callback):
    """What each process has at the end."""

    def on_fit_end(self, trainer, pl_module):
        found = {
            "step": pl_module.explainer.convincing_step,
            "temperature": pl_module.classifier.mixture.temperature.item(),
        }
        path = Path(trainer.default_root_dir) / f"{trainer.global_rank}.json"
        path.write_text(json.dumps(found))


def run_processes(folder):
    """For the test above, in a process of its own, because it forks."""
    means, judge, checkpoint = judging(folder, agreement=0.9, calibrate=True)
    settings = {"devices": 2, "strategy": "ddp_fork", "max_epochs": 6}
    fitting = trainer(folder, means, judge, _Write(), checkpoint, **settings)
    fitting.fit(network(convincing_step=STEP), datamodule=Bars())


if __name__ == "__main__":
    run_processes(Path(sys.argv[1]))
