"""The difference of two log posteriors, of one and of several pairs each."""

import torch

from lightning_ecinn.metrics.classification import log_odds, tipping_gap


def test_log_odds():
    torch.manual_seed(0)
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    q, p = torch.tensor([0, 1, 2, 2]), torch.tensor([1, 1, 0, 1])
    rows = torch.arange(4)
    odds = log_odds(logits, q, p)
    assert torch.equal(odds, logits[rows, q] - logits[rows, p])
    torch.testing.assert_close(odds, log_odds(logits.log_softmax(1), q, p))
    assert torch.equal(odds.abs(), tipping_gap(logits, p, q))
    odds.sum().backward()
    assert logits.grad[0].tolist() == [1, -1, 0]


def test_several_pairs_of_one_picture():
    logits = torch.randn(2, 1, 5).expand(2, 3, 5)
    q, p = torch.randint(5, (2, 2, 3))
    given = log_odds(logits, q, p)
    assert given.dtype == torch.float32
    for i in range(2):
        assert torch.equal(given[i], log_odds(logits[i], q[i], p[i]))
