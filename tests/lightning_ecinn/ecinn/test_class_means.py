"""Class means against a loop, however the images are spread."""

import pytest
import torch

from lightning_ecinn.ecinn.class_means import ClassMeans

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


@pytest.fixture
def one_informative_latent():
    """2,000 latents in 50 dimensions of which the first alone depends on the class."""
    torch.manual_seed(0)
    labels = torch.arange(2000) % 3
    z = 1.7 * torch.randn(2000, 50, dtype=torch.float64)
    z[:, 0] += labels
    return z, labels


def test_significant_means_differ_where_classes_do(one_informative_latent):
    z, labels = one_informative_latent
    plain, kept = (ClassMeans(4, 50, significance=level) for level in (None, 0.05))
    plain.update(z, labels)
    kept.update(z, labels)
    (means, counts), (significant, same_counts) = plain.compute(), kept.compute()
    assert torch.equal(counts, same_counts)
    torch.testing.assert_close(significant[:, 0], means[:, 0], rtol=0, atol=0)
    overall = z.mean(0)[1:].expand(3, -1)
    torch.testing.assert_close(significant[:3, 1:], overall)
    assert (means[:3, 1:] - overall).abs().max() > 0.05  # what there was to remove
    assert not significant[3].any()  # a class without images


def test_significance_is_an_analysis_of_variance(one_informative_latent):
    """Against F = (between / (K - 1)) / (within / (N - K)), summed by hand."""
    z, labels = one_informative_latent
    z[:, :20] += 0.01 * torch.arange(20) * labels.unsqueeze(1)  # from nothing to plain
    groups = [z[labels == k] for k in range(3)]
    within = sum((g - g.mean(0)).square().sum(0) for g in groups) / (len(z) - 3)
    between = sum(len(g) * (g.mean(0) - z.mean(0)).square() for g in groups)
    p = torch.exp(-between / within / 2)  # survival function of chi squared with 2 degrees
    level = (p.sort().values[6:8].mean() * 50).item()  # 7 latents are below, 43 above
    metric = ClassMeans(3, 50, significance=level)
    metric.update(z, labels)
    means, _ = metric.compute()
    assert torch.equal(means[0] != means[1], p < level / 50)


@pytest.mark.parametrize("level", [0, 1, -0.1])
def test_significance_must_be_a_probability(level):
    with pytest.raises(ValueError, match="give a number between 0 and 1"):
        ClassMeans(3, 50, significance=level)
