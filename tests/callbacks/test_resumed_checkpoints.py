"""A resumed run's folder holds a true last and a true best checkpoint, both able to explain."""

import logging
import shutil
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from test_kept_checkpoints import Scores, best_of, counts, fit, kept, read

from lightning_ecinn.callbacks import BuildClassMeans, NonFiniteLossError, StopOnNonFiniteLoss


class Killed(BaseException):
    """As sudden as a kill: nothing of this project catches it."""


class KilledInTheMeans(BuildClassMeans):
    """Ends everything in a building of class means."""

    def __init__(self, number):
        super().__init__()
        self.left = number

    def build(self, trainer, pl_module):
        self.left -= 1
        if self.left < 0:
            raise Killed
        super().build(trainer, pl_module)


class KilledAt(pl.Callback):
    """Ends everything at a step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise Killed


def run(folder, *callbacks, scores=(1, 2, 0), max_epochs=3, save_top_k=1, **settings):
    pl.seed_everything(0)
    checkpoint = best_of(folder, save_top_k=save_top_k)
    found = Scores(*scores), *callbacks, checkpoint
    return fit(folder, *found, max_epochs=max_epochs, **settings)


def assert_same(first, second, where="a checkpoint"):
    """Equal bit for bit in everything but the callbacks' states, which name folders."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first.keys() - {"callbacks"}:
            assert_same(first[key], second[key], key)
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for pair in zip(first, second, strict=True):
            assert_same(*pair, where)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    else:
        assert first == second, where


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    run(folder)
    return SimpleNamespace(folder=folder, files=kept(folder), last=folder / "last.ckpt")


@pytest.mark.parametrize("number", [0, 1])
def test_killed_in_the_means(whole, tmp_path, number, caplog):
    with pytest.raises(Killed):
        run(tmp_path / "a", builder=KilledInTheMeans(number))
    before = kept(tmp_path / "a")
    assert [counts(before[f"{name}.ckpt"]) for name in ("best", "last")] == [12 * number, 0]
    with caplog.at_level(logging.INFO):
        run(tmp_path / "b", ckpt_path=tmp_path / "a" / "last.ckpt")
    assert f"Nothing is left to train: the training in {tmp_path / 'a'}" in caplog.text
    assert "has had its 3 epochs. To go on, give a larger --trainer.max_epochs." in caplog.text
    for name, content in kept(tmp_path / "b").items():
        assert_same(content, whole.files[name])
        assert counts(content) == 12
    for name, content in kept(tmp_path / "a").items():  # nothing there has changed
        assert_same(content, before[name])


def test_a_complete_run_is_completed_as_it_is(whole, tmp_path):
    fitted = run(tmp_path, ckpt_path=whole.last)
    assert fitted.checkpoint_callback.last_model_path == str(tmp_path / "last.ckpt")
    assert fitted.checkpoint_callback.best_model_path == str(tmp_path / "best.ckpt")
    for name, content in kept(tmp_path).items():
        assert_same(content, whole.files[name])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_epochs": 2}, "max_epochs is 2, but the training in .* has had 3 epochs already"),
        ({"max_steps": 5}, "max_steps is 5, .* 6 steps already: give more than 6 to go on, 6 to"),
    ],
)
def test_less_than_was_trained_is_refused(whole, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, ckpt_path=whole.last, **settings)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_checkpoint_saved_while_going_on_has_no_means_of_other_weights(whole, tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, KilledAt(8), scores=[0] * 5, max_epochs=5, ckpt_path=whole.last)
    assert counts(read(tmp_path / "last.ckpt")) == 12  # the copy to go on from: of its own weights
    with pytest.raises(Killed):
        run(tmp_path / "b", KilledAt(9), scores=[0] * 5, max_epochs=5, ckpt_path=whole.last)
    last = read(tmp_path / "b" / "last.ckpt")
    assert last["global_step"] == 8
    assert counts(last) == 0


def test_the_best_ones_come_along(tmp_path):
    """Three of them, under true names, from a folder that was moved."""
    run(tmp_path / "a", scores=(1, 3, 2), save_top_k=2)
    (tmp_path / "a").rename(tmp_path / "moved")
    path = tmp_path / "moved" / "last.ckpt"
    run(tmp_path / "b", scores=(0, 0, 0, 1), max_epochs=4, save_top_k=3, ckpt_path=path)
    names = {"epoch=1-step=4.ckpt", "epoch=2-step=6.ckpt", "epoch=3-step=8.ckpt"}
    files = kept(tmp_path / "b")
    assert files.keys() == {*names, "best.ckpt", "last.ckpt"}
    assert files["best.ckpt"]["epoch"] == 1
    assert [counts(content) for content in files.values()] == [12] * 5

    one = run(tmp_path / "c", scores=[0] * 5, max_epochs=5, ckpt_path=tmp_path / "b" / "last.ckpt")
    assert kept(tmp_path / "c")["best.ckpt"]["epoch"] == 1
    assert one.checkpoint_callback.best_model_score == 3


def test_a_best_one_that_is_another_by_now_does_not_come_along(whole, tmp_path):
    """Going on from the first epoch, while the best file is already that of the second."""
    with pytest.raises(Killed):
        run(tmp_path / "a", KilledAt(3))
    best = tmp_path / "a" / "best.ckpt"
    shutil.copyfile(whole.folder / "best.ckpt", best)
    settings = {"scores": (0, 0.5), "max_epochs": 2, "ckpt_path": tmp_path / "a" / "last.ckpt"}
    assert run(tmp_path / "b", **settings).checkpoint_callback.best_model_score == 0.5
    best.write_text("damaged")
    with pytest.warns(UserWarning, match=r"best\.ckpt is not a whole checkpoint: "):
        run(tmp_path / "c", **settings)


def test_nothing_in_the_new_folder_is_replaced(whole, tmp_path):
    for name in ("last", "best"):
        (tmp_path / f"{name}.ckpt").write_text("somebody's")
    run(tmp_path, ckpt_path=whole.last)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}{version}.ckpt" for name in ("last", "best") for version in ("", "-v1")
    }
    assert (tmp_path / "last.ckpt").read_text() == "somebody's"


def test_a_loss_that_is_no_number_names_what_was_resumed(whole, tmp_path):
    class Poison(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            pl_module.classifier.mixture.component_means.data.fill_(float("nan"))

    callbacks = Poison(), StopOnNonFiniteLoss()
    with pytest.raises(NonFiniteLossError, match=f"The last good checkpoint is {tmp_path}/last"):
        run(tmp_path, *callbacks, max_epochs=4, ckpt_path=whole.last)
    with pytest.raises(NonFiniteLossError, match=f"The last good checkpoint is {whole.last}"):
        fit(tmp_path, *callbacks, max_epochs=4, ckpt_path=whole.last)
