"""Rank correlations, beside those of scipy."""

import math

import pytest
import torch
from scipy import stats

from lightning_ecinn.metrics import comparable, rank_correlation, rank_correlation_interval


def columns(n=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, generator=generator, dtype=torch.float64)
    return a, a + b


def test_it_is_spearmans_with_ties():
    a, b = columns()
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    a, b = a.round(), (2 * b).round()
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_groups_are_averaged_by_their_size():
    a, b = columns()
    groups = torch.tensor([7] * 50 + [-1] * 120 + [3] * 30)
    by_hand = sum(
        int((groups == g).sum()) * stats.spearmanr(a[groups == g], b[groups == g]).statistic
        for g in (7, -1, 3)
    )
    assert rank_correlation(a, b, groups) == pytest.approx(by_hand / 200, abs=1e-12)


def test_what_differs_between_groups_is_no_correlation():
    a, b = torch.randn(2, 4000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    groups = torch.arange(4000) % 4
    assert rank_correlation(a + 10 * groups, b + 10 * groups) > 0.9
    assert abs(rank_correlation(a + 10 * groups, b + 10 * groups, groups)) < 0.05


def test_only_the_order_counts():
    a, b = columns()
    assert rank_correlation(a.exp(), b**3) == rank_correlation(a, b)
    assert rank_correlation(a, -b) == -rank_correlation(a, b)
    assert rank_correlation(a, a) == pytest.approx(1, abs=1e-15)


def test_groups_without_variation_are_left_out():
    a = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    b = torch.tensor([1.0, 2.0, 7.0, 7.0, 1.0, 2.0])
    groups = torch.tensor([0, 0, 1, 1, 2, 3])
    assert comparable(a, b, groups).tolist() == [True, True, False, False, False, False]
    assert rank_correlation(a, b, groups) == 1
    assert math.isnan(rank_correlation(a[2:], b[2:], groups[2:]))
    assert all(map(math.isnan, rank_correlation_interval(a[2:], b[2:], groups[2:], samples=5)))


def test_the_interval_holds_as_often_as_it_says():
    true = 6 / math.pi * math.asin(math.sqrt(0.5) / 2)  # of a normal pair of correlation √½
    hits = 0
    for seed in range(60):
        low, high = rank_correlation_interval(*columns(150, seed), samples=200)
        hits += low <= true <= high
    assert 52 <= hits <= 60


def test_many_small_groups_have_an_interval_around_their_mean():
    a, b = columns(600)
    groups = torch.arange(600) // 6
    low, high = rank_correlation_interval(a, b, groups, samples=300)
    middle = rank_correlation(a, b, groups)
    assert high - middle == pytest.approx(middle - low, rel=0.4)


def test_what_is_one_has_no_interval():
    a, _ = columns(60)
    assert rank_correlation_interval(a, a.exp(), samples=50) == pytest.approx((1, 1), abs=1e-12)


def test_rows_of_one_image_are_drawn_together():
    a, b = columns(40)
    alone = rank_correlation_interval(a, b, samples=400)
    doubled = [torch.cat((v, v)) for v in (a, b)]
    images = torch.arange(40).repeat(2)
    together = rank_correlation_interval(*doubled, images=images, samples=400)
    assert together == pytest.approx(alone, abs=1e-12)
    low, high = rank_correlation_interval(*doubled, samples=400)
    assert high - low < alone[1] - alone[0]


def test_what_cannot_be_correlated_is_refused():
    a, b = columns(5)
    with pytest.raises(ValueError, match="finite"):
        rank_correlation(a * math.nan, b)
    with pytest.raises(ValueError, match="pairs, got 5 and 4"):
        rank_correlation(a, b[:4])
    with pytest.raises(ValueError, match="groups must be one class for each"):
        rank_correlation(a, b, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="level is 1 "):
        rank_correlation_interval(a, b, level=1)
