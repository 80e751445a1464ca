"""Epochs for the minutes there are, found without a trace in what is to be trained."""

import random

import numpy as np
import pytest
import torch
from tiny import Data, ibinn, small_cnn

from lightning_ecinn import epochs_within
from lightning_ecinn.training import minutes
from lightning_ecinn.training.minutes import BatchSeconds, count_epochs, time_batches


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(minutes, "MOST", 6)


@pytest.mark.parametrize(
    ("given", "seconds", "spent", "epochs"),
    [(20, 10, 0, 102), (20, 10, 20, 100), (1, 300, 0, 1), (1, 1, 1000, 1)],
)
def test_a_share_of_the_minutes_is_for_epochs(given, seconds, spent, epochs):
    assert count_epochs(given, seconds, spent) == epochs


def test_epochs_are_of_timed_batches(monkeypatch):
    monkeypatch.setattr(minutes, "time_batches", lambda *_, **__: BatchSeconds(1.0, 0.5))
    # 24 images in batches of 4: 6 of training, 6 of validation.
    assert epochs_within(ibinn(), Data(), minutes=10) == int(0.85 * 600 / (6 * 1.0 + 6 * 0.5))


@pytest.mark.parametrize("build", [ibinn, small_cnn])
def test_timing_changes_nothing(build, capsys, recwarn, caplog):
    module, data = build(dropouts=[0.5], schedule="onecycle") if build is ibinn else build(), Data()
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)

    found = time_batches(module, data, accelerator="cpu")

    assert found.train > 0
    assert found.val > 0
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in module.parameters())
    assert module.training
    assert module._trainer is None
    assert data.trainer is None
    assert not recwarn.list
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


def test_a_loader_of_one_batch_is_gone_through_again():
    watch = minutes._Stopwatch()
    watch._train = [9.0, 9.0, 1.0, 2.0]
    assert watch.seconds() == (1.5, 0.0)
    assert time_batches(ibinn(), Data(batch_size=24), accelerator="cpu").train > 0


def test_minutes_must_be_positive():
    with pytest.raises(ValueError, match="minutes is 0; give a positive number"):
        epochs_within(ibinn(), Data(), 0)


def test_steps_with_a_critic_are_timed_too(monkeypatch):
    seconds = {False: BatchSeconds(1.0, 0.5), True: BatchSeconds(3.0, 9.0)}
    monkeypatch.setattr(minutes, "_timed", lambda *_, with_critic, **__: seconds[with_critic])
    module = ibinn(realism=1.0, realism_from=0.75, optimizer="adamw")
    assert time_batches(module, Data()) == (0.75 * 1.0 + 0.25 * 3.0, 0.5)
    assert time_batches(ibinn(), Data()) == (1.0, 0.5)


def test_timing_leaves_the_critic_as_it_was():
    module = ibinn(realism=1.0, realism_from=0.75, optimizer="adamw", critic_width=4)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert time_batches(module, Data()).train > 0
    assert module.realism.settings.realism_from == 0.75
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
