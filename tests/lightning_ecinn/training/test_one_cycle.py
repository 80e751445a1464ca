"""The one-cycle schedule: torch's, and stretched where a training goes on with other steps."""

import math

import pytest
import torch
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from tiny import Data, Rates, StopAfter, ibinn, loader, said, small_cnn, trainer
from torch.utils.data import IterableDataset

from lightning_ecinn.training.one_cycle import OneCycle


def optimizer():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.3)]
    return torch.optim.SGD(groups)


def rates(scheduler, num_steps):
    found = []
    for _ in range(num_steps):
        found.append([group["lr"] for group in scheduler.optimizer.param_groups])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def torchs(optimizer, warmup, num_steps):
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [0.1, 0.3], total_steps=num_steps, pct_start=warmup, cycle_momentum=False
    )


@pytest.mark.parametrize(("num_steps", "warmup"), [(2, 0.2), (7, 0.3), (100, 0.2), (33, 0.0)])
def test_an_uninterrupted_cycle_is_torchs(num_steps, warmup):
    ours, theirs = optimizer(), optimizer()
    scheduler = OneCycle(ours, warmup, lambda: num_steps)
    reference = torchs(theirs, warmup, num_steps)
    assert rates(scheduler, num_steps) == rates(reference, num_steps)
    assert scheduler.get_last_lr() == reference.get_last_lr()


def restored(scheduler, left, warmup=0.3):
    """Another schedule and optimiser in the state of a checkpoint, with so many steps left."""
    other = optimizer()
    result = OneCycle(other, warmup, lambda: left)
    other.load_state_dict(scheduler.optimizer.state_dict())
    result.load_state_dict(scheduler.state_dict())
    return result


@pytest.mark.parametrize("theirs", [OneCycle, torchs])
@pytest.mark.parametrize("done", [1, 8, 19])
def test_the_rest_of_a_cycle_with_the_same_steps_stays(theirs, done):
    make = (
        (lambda o: torchs(o, 0.3, 20))
        if theirs is torchs
        else (lambda o: OneCycle(o, 0.3, lambda: 20))
    )
    whole = rates(make(optimizer()), 20)
    first = make(optimizer())
    rates(first, done)
    assert rates(restored(first, 20 - done), 20 - done) == whole[done:]


@pytest.mark.parametrize(("done", "left"), [(3, 40), (10, 40), (10, 4), (15, 2), (10, 11)])
def test_the_rest_of_a_cycle_is_spread_over_other_steps(done, left):
    whole = rates(OneCycle(optimizer(), 0.3, lambda: 20), 20)
    first = OneCycle(optimizer(), 0.3, lambda: 20)
    rates(first, done)
    second = restored(first, left)
    found = rates(second, left)
    assert found[0] == whole[done], "it goes on from where it was"
    assert found[-1] == pytest.approx(whole[-1], abs=1e-12), "the last step has the lowest rate"
    top = max(found)
    assert top == pytest.approx(max(whole[done:]), rel=0.05)
    assert found[found.index(top) :] == sorted(found[found.index(top) :], reverse=True)
    at = left // 2  # and the same once more, from the middle of the stretched part
    again = restored(first, left)
    rates(again, at)
    assert rates(restored(again, left - at), left - at) == found[at:]


def test_a_cycle_that_is_over_is_not_made_longer():
    first = OneCycle(optimizer(), 0.3, lambda: 20)
    rates(first, 20)
    with pytest.raises(ValueError, match=r"is over: after 20 steps .* 5 more .* init_from\.$"):
        restored(first, 5)
    restored(first, 0)


@pytest.mark.parametrize("done", [1, 4, 6, 7, 10])
@pytest.mark.parametrize(
    ("batch_size", "settings"),
    [(2, {}), (3, {}), (4, {}), (4, {"accumulate_grad_batches": 4}), (8, {}), (24, {})],
)
def test_the_steps_that_are_left_are_counted(tmp_path, done, batch_size, settings):
    """From the middle and the end of an epoch of 6 steps, to other batches."""
    path = tmp_path / "a.ckpt"
    trainer(tmp_path, StopAfter(done, path), max_epochs=2).fit(small_cnn(), Data())
    second = trainer(tmp_path, max_epochs=2, **settings)
    second.fit(small_cnn(), Data(batch_size), ckpt_path=path)
    scheduler = second.lr_scheduler_configs[0].scheduler
    assert second.global_step == scheduler.last_epoch == scheduler.num_steps


MODULES = {"ibinn": lambda: ibinn(schedule="onecycle"), "small_cnn": small_cnn}
CHANGES = {
    "epochs": ({"max_epochs": 4}, 4),
    "batch size": ({}, 2),
    "accumulation": ({"accumulate_grad_batches": 4}, 4),
    "steps": ({"max_steps": 11}, 4),
}


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
@pytest.mark.parametrize(("changed", "batch_size"), CHANGES.values(), ids=CHANGES)
def test_going_on_in_another_way_ends_annealed(tmp_path, caplog, module, changed, batch_size):
    caplog.set_level("INFO")
    path, settings = tmp_path / "a.ckpt", {"max_epochs": 2}
    before = Rates()  # 6 steps in an epoch, 12 in all
    trainer(tmp_path, StopAfter(4, path), before, **settings).fit(module(), Data())
    after = Rates()
    second = trainer(tmp_path, after, **settings | changed)
    second.fit(module(), Data(batch_size), ckpt_path=path)
    highest, last = max(before.seen)[0], after.seen[-1][0]
    assert last < 1e-4 * highest
    assert after.seen[0][0] > 0.1 * highest
    left = second.global_step - 4
    assert f"4 of 12 steps are done, and its rest is spread over the {left} steps" in said(caplog)
    assert all(math.isfinite(rate) for rates in after.seen for rate in rates)


def test_going_on_in_the_same_way_ends_in_the_same_weights(tmp_path, caplog):
    caplog.set_level("INFO")
    whole, path = small_cnn(), tmp_path / "a.ckpt"
    settings = {"max_epochs": 2, "accumulate_grad_batches": 4}  # 2 steps in an epoch
    trainer(tmp_path, **settings).fit(whole, Data())
    trainer(tmp_path, StopAfter(2, path), **settings).fit(small_cnn(), Data())
    other, seen = small_cnn(), Rates()
    trainer(tmp_path, seen, **settings).fit(other, Data(), ckpt_path=path)
    assert len(seen.seen) == 2
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), other.parameters(), strict=True)
    )
    assert "stretched" not in said(caplog)


def test_more_epochs_after_the_last_are_refused_before_a_step(tmp_path):
    path, seen = tmp_path / "a.ckpt", Rates()
    first = trainer(tmp_path)
    first.fit(small_cnn(), Data())
    first.save_checkpoint(path)
    with pytest.raises(ValueError, match="is over: after 6 steps"):
        trainer(tmp_path, seen, max_epochs=2).fit(small_cnn(), Data(), ckpt_path=path)
    assert not seen.seen


def test_a_schedule_of_changing_accumulation_ends_annealed(tmp_path):
    seen = Rates()
    accumulation = GradientAccumulationScheduler({0: 3, 1: 1})
    fitting = trainer(tmp_path, seen, accumulation, max_epochs=2)
    fitting.fit(small_cnn(), Data())
    assert fitting.global_step == 2 + 6
    assert seen.seen[-1] == min(seen.seen)
    assert seen.seen.index(max(seen.seen)) < 4


class Endless(IterableDataset):
    """Images without an end."""

    def __iter__(self):
        while True:
            yield torch.zeros(1, 8, 8, dtype=torch.uint8), 1


@pytest.mark.parametrize("settings", [{"max_epochs": -1, "max_time": "00:00:00:05"}, {}])
def test_a_cycle_without_an_end_is_refused_before_a_step(tmp_path, settings):
    data = torch.utils.data.DataLoader(Endless(), 4) if not settings else loader()
    seen = Rates()
    with pytest.raises(ValueError, match=r"onecycle must know how many steps .*max_steps"):
        trainer(tmp_path, seen, **settings).fit(small_cnn(), data)
    assert not seen.seen


@pytest.mark.parametrize(
    "settings", [{"limit_train_batches": 5}, {"max_steps": 5, "max_epochs": -1}]
)
def test_a_cycle_with_an_end_trains_on_data_without_one(tmp_path, settings):
    seen = Rates()
    data = torch.utils.data.DataLoader(Endless(), 4)
    trainer(tmp_path, seen, **settings).fit(small_cnn(), data)
    assert len(seen.seen) == 5
    assert seen.seen[-1] == min(seen.seen)
