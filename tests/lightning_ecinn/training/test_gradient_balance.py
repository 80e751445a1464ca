"""What is added to a loss has no more than a given multiple of its gradient."""

import pytest
import torch

from lightning_ecinn.training.balance import EVERY, MEMORY, MOST, Balance


def losses(factor):
    x, y = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    return x.square().sum(), factor * x.square().sum(), [x, y]


@pytest.mark.parametrize("factor", [0.1, MOST, 10 * MOST, 1e6])
def test_the_weighted_gradient_is_at_most_so_many_times_the_other(factor):
    own, added, weights = losses(factor)
    weight = Balance()(own, added, weights, step=3)
    assert float(weight * factor) == pytest.approx(min(factor, MOST))
    assert not weight.requires_grad
    assert float((own + added).detach()) == pytest.approx(3 + 3 * factor)


def test_it_is_measured_now_and_then_and_averaged():
    balance = Balance()
    balance(*losses(10 * MOST), step=1)
    balance(*losses(1e3), step=2)
    assert float(balance.ratio) == pytest.approx(10 * MOST)
    balance(*losses(1e3), step=EVERY)
    assert float(balance.ratio) == pytest.approx((1 - MEMORY) * 10 * MOST + MEMORY * 1e3)


def test_what_is_no_number_is_not_remembered():
    balance = Balance()
    balance(*losses(2.0), step=0)
    balance(*losses(float("nan")), step=0)
    assert float(balance.ratio) == pytest.approx(2)
