"""Class means against a loop, however the images are spread."""

import pytest
import torch

from lightning_ecinn.class_means import ClassMeans

K, D, N = 4, 6, 50


@pytest.fixture
def data():
    """Latents whose predictions leave class 2 empty."""
    torch.manual_seed(0)
    return torch.randn(N, D), torch.tensor([0, 1, 3])[torch.randint(3, (N,))]


def in_batches(data, size):
    metric = ClassMeans(K, D)
    for z, predicted in zip(data[0].split(size), data[1].split(size), strict=True):
        metric.update(z, predicted)
    return metric


@pytest.mark.parametrize("size", [1, 7, N])
def test_is_the_mean_over_each_predicted_class(data, size):
    means, counts = in_batches(data, size).compute()
    assert means.dtype == torch.float64
    for j in range(K):
        chosen = [z.double() for z, p in zip(*data, strict=True) if p == j]
        assert counts[j] == len(chosen)
        expected = sum(chosen) / len(chosen) if chosen else torch.zeros(D).double()
        torch.testing.assert_close(means[j], expected, rtol=1e-13, atol=1e-13)


def test_empty_class_is_zero_with_count_zero(data):
    means, counts = in_batches(data, 8).compute()
    assert counts[2] == 0
    assert torch.equal(means[2], torch.zeros(D, dtype=torch.float64))
    assert counts.sum() == N


def test_no_images_at_all():
    with pytest.warns(UserWarning, match="before the ``update``"):
        means, counts = ClassMeans(K, D).compute()
    assert torch.equal(means, torch.zeros(K, D, dtype=torch.float64))
    assert not counts.any()


@pytest.mark.parametrize("parts", [2, 3])
def test_spread_over_processes(data, parts):
    """Strided shares, summed as torchmetrics sums states over processes."""
    shares = [in_batches((data[0][k::parts], data[1][k::parts]), 4) for k in range(parts)]
    merged = shares[0]
    for share in shares[1:]:
        merged.merge_state(share)
    means, counts = merged.compute()
    whole_means, whole_counts = in_batches(data, 16).compute()
    assert torch.equal(counts, whole_counts)
    torch.testing.assert_close(means, whole_means, rtol=1e-13, atol=1e-13)
    assert all(
        reduce.__name__ == "dim_zero_sum" for reduce in ClassMeans(K, D)._reductions.values()
    )


def test_sums_in_double_precision():
    """In float32 a million ones beside a large number would be lost."""
    metric = ClassMeans(2, 1)
    metric.update(torch.tensor([[1e8]]), torch.tensor([0]))
    for _ in range(10):
        metric.update(torch.ones(100, 1), torch.zeros(100, dtype=torch.long))
    assert metric.compute()[0][0, 0] == (1e8 + 1000) / 1001
    assert metric.half().float().sums.dtype == torch.float64


def test_result_is_a_copy_and_reset_forgets(data):
    metric = in_batches(data, 8)
    _, counts = metric.compute()
    counts.zero_()
    assert metric.counts.sum() == N
    metric.reset()
    assert not metric.counts.any()
    assert not metric.sums.any()
