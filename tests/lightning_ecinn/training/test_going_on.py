"""Going on from a checkpoint with another optimiser or other settings of it; Lightning's tuners."""

import pytest
import torch
from pytorch_lightning.callbacks import BatchSizeFinder, LearningRateFinder
from tiny import Data, Rates, StopAfter, ibinn, said, small_cnn, trainer

from lightning_ecinn.training import IBINN


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """After one of three epochs, by SGD."""
    path = tmp_path_factory.mktemp("first") / "a.ckpt"
    fitting = trainer(path.parent, StopAfter(6, path), max_epochs=3)
    fitting.fit(ibinn(lr=0.01), Data())
    return path


def go_on(tmp_path, checkpoint, module):
    seen = Rates()
    trainer(tmp_path, seen, max_epochs=2).fit(module, Data(), ckpt_path=checkpoint)
    return seen.seen


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"optimizer": "adam"}, r"with optimizer sgd, but optimizer is adam here: give sgd to go"),
        ({"schedule": "onecycle"}, r"with schedule multistep, but schedule is onecycle here"),
    ],
)
def test_another_optimiser_or_schedule_is_refused(tmp_path, checkpoint, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        go_on(tmp_path, checkpoint, ibinn(lr=0.01, **settings))


def test_an_ordinary_network_does_not_change_its_schedule_either(tmp_path):
    path = tmp_path / "a.ckpt"
    trainer(tmp_path, StopAfter(3, path)).fit(small_cnn(), Data())
    with pytest.raises(ValueError, match="with schedule onecycle, but schedule is constant here"):
        go_on(tmp_path, path, small_cnn(schedule="constant"))


def test_the_checkpoints_learning_rate_stays_and_is_said(tmp_path, checkpoint):
    module = ibinn(lr=0.5, betas=[0.95, 0.99])
    with pytest.warns(UserWarning, match=r"the checkpoint's lr 0\.01 \(not 0\.5\): for other ones"):
        seen = go_on(tmp_path, checkpoint, module)
    assert seen[0] == pytest.approx([0.01, 0.03, 0.01])
    assert module.hparams.lr == 0.01, "what is saved from now on is true"


def test_what_is_not_of_the_optimiser_may_change(tmp_path, checkpoint, recwarn):
    assert len(go_on(tmp_path, checkpoint, ibinn(lr=0.01, beta=2.0, noise=0.0))) == 6
    assert not [w for w in recwarn if "checkpoint's" in str(w.message)]


def test_loading_a_module_may_change_its_optimiser(checkpoint):
    assert IBINN.load_from_checkpoint(checkpoint, optimizer="adam", lr=0.3).hparams.lr == 0.3


def test_weights_alone_are_no_training(tmp_path, checkpoint):
    content = torch.load(checkpoint, weights_only=True)
    del content["optimizer_states"]
    torch.save(content, tmp_path / "weights.ckpt")
    with pytest.raises(ValueError, match=r"holds weights only, no optimiser .* init_from\.$"):
        go_on(tmp_path, tmp_path / "weights.ckpt", ibinn(lr=0.01))


def test_other_parameters_are_refused(tmp_path, checkpoint):
    module = ibinn(lr=0.01)
    next(p for p in module.classifier.flow.parameters() if p.requires_grad).requires_grad_(False)
    with pytest.raises(ValueError, match=r"groups of \[\d+, 1, 1\] parameters, but this network's"):
        go_on(tmp_path, checkpoint, module)


@pytest.mark.parametrize("schedule", ["onecycle", "multistep"])
def test_the_learning_rate_found_is_used(tmp_path, schedule):
    finder, seen = LearningRateFinder(num_training_steps=20, min_lr=1e-4), Rates()
    module = ibinn(schedule=schedule)
    trainer(tmp_path, finder, seen, max_epochs=5).fit(module, Data())
    found = finder.optimal_lr.suggestion()
    assert module.hparams.lr == found != 1e-3
    if schedule == "multistep":
        assert seen.seen[0] == pytest.approx([found, 3 * found, found])
    assert max(seen.seen) == pytest.approx([found, 3 * found, found], rel=0.2)
    assert len(seen.seen) == 30
    assert schedule == "multistep" or seen.seen[-1][0] < 1e-4 * found


def test_the_batch_size_found_is_used_and_the_cycle_fits(tmp_path, caplog):
    caplog.set_level("INFO")
    finder, seen, data = BatchSizeFinder(init_val=1, max_trials=4), Rates(), Data()
    fitting = trainer(tmp_path, finder, seen, max_epochs=2)
    fitting.fit(ibinn(schedule="onecycle"), data)
    assert data.batch_size == finder.optimal_batch_size == 8
    assert fitting.global_step == len(seen.seen) == 2 * 3
    assert seen.seen[-1] == min(seen.seen)
    assert "Each step sees 8 images." in said(caplog)
    assert "stretched" not in said(caplog)


@pytest.mark.parametrize("finder", [BatchSizeFinder, LearningRateFinder])
def test_tuners_do_not_go_on(tmp_path, checkpoint, finder):
    with pytest.raises(
        ValueError, match=r"settings of a new training, but .* after step 6: leave out"
    ):
        trainer(tmp_path, finder()).fit(ibinn(lr=0.01), Data(), ckpt_path=checkpoint)
