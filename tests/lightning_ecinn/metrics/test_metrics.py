"""Measures on toys worked by hand and beside other implementations."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import trapezoid
from scipy.linalg import sqrtm
from scipy.spatial.distance import jensenshannon
from torch import nn

from lightning_ecinn import metrics
from lightning_ecinn.models.networks import ConvNetwork

X = torch.tensor([[[[0.0, 0.5], [1.0, 0.2]]], [[[0.1, 0.1], [0.1, 0.1]]]], dtype=torch.float64)
C = torch.tensor([[[[0.3, 0.5], [0.6, 0.2]]], [[[0.1, 0.1], [0.1, 0.1]]]], dtype=torch.float64)


def test_proximity_of_a_3_4_5_triangle():
    torch.testing.assert_close(metrics.l1(X, C), torch.tensor([0.7, 0.0]).double())
    torch.testing.assert_close(metrics.l2(X, C), torch.tensor([0.5, 0.0]).double())
    torch.testing.assert_close(metrics.en(X, C), torch.tensor([1.2, 0.0]).double())
    assert metrics.sparsity(X, C).tolist() == [0.5, 0.0]
    # The smallest change of FakeMNIST's label: two pixels by 1.
    x = torch.zeros(1, 1, 28, 28)
    c = x.clone()
    x[0, 0, 3, 0] = c[0, 0, 8, 0] = 1
    assert metrics.en(x, c).item() == pytest.approx(2 + math.sqrt(2), rel=1e-12)


def test_sparsity_counts_pixels_that_move_by_more_than_one_level():
    levels = torch.arange(255) / 255
    x = levels.view(1, 1, 1, 255)
    for moved, share in ((1, 0), (2, 1)):
        c = (torch.arange(255) + moved).view(1, 1, 1, 255) / 255
        assert metrics.sparsity(x, c).tolist() == [share]
    x = torch.zeros(1, 3, 1, 4)
    c = x.clone()
    c[0, 2, 0, 1] = c[0, 0, 0, 3] = c[0, 1, 0, 3] = 1
    assert metrics.sparsity(x, c).tolist() == [0.5]


@pytest.mark.parametrize("measure", [metrics.l1, metrics.l2, metrics.en, metrics.sparsity])
def test_pictures_that_can_not_be_compared_are_refused(measure):
    with pytest.raises(ValueError, match=r"of one shape, got \(1, 1, 2, 2\) and \(1, 1, 2, 3\)"):
        measure(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 3))
    with pytest.raises(ValueError, match="divide 8-bit ones by 255"):
        measure(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(1, 1, 2, 2))


def test_classes():
    predicted, source, target = (torch.tensor(v) for v in ([1, 2, 0], [0, 0, 0], [1, 1, 1]))
    assert metrics.validity(predicted, target).tolist() == [True, False, False]
    assert metrics.flip(predicted, source).tolist() == [True, True, False]
    logits = torch.tensor([[1.0, 4.0, 9.0], [2.0, 2.0, 0.0], [5.0, -1.0, 0.0]])
    assert metrics.tipping_gap(logits, source, target).tolist() == [3, 0, 6]
    log_posterior = logits.double().log_softmax(1)
    torch.testing.assert_close(
        metrics.tipping_gap(log_posterior, source, target), torch.tensor([3.0, 0, 6]).double()
    )
    oracle = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False))
    with torch.no_grad():
        oracle[1].weight.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, -1]]))
    pictures = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]).view(3, 1, 1, 2)
    sees = oracle(pictures).argmax(1)
    assert metrics.validity(sees, torch.tensor([0, 1, 1])).tolist() == [1, 1, 0]


def test_label_variation_is_scipys_jensen_shannon_divergence():
    p, q = torch.randn(2, 20, 5, generator=torch.manual_seed(0)).mul(4).double().softmax(2)
    ours = metrics.label_variation(p, q)
    np.testing.assert_allclose(ours, jensenshannon(p, q, axis=1) ** 2, rtol=1e-9)
    certain = torch.eye(5).double()
    assert metrics.label_variation(certain, certain).tolist() == [0] * 5
    apart = metrics.label_variation(certain, certain.roll(1, 1))
    np.testing.assert_allclose(apart, math.log(2), rtol=1e-15)


class Shrinks:
    """Class k's autoencoder multiplies by k / 10, that of all by 1/2."""

    def reconstruct(self, images, label=None):
        return images * (0.5 if label is None else label.view(-1, 1, 1, 1) / 10)


def test_im1_and_im2_by_hand():
    c = torch.tensor([[[[1.0, 0.5], [0.0, 0.5]]]])  # shifted: 1/2, 0, -1/2, 0; squares 1/2, L1 1
    source, target = torch.tensor([4]), torch.tensor([8])
    expected = 0.2**2 * 0.5 / (0.6**2 * 0.5 + 1e-5)
    assert metrics.im1(c, source, target, Shrinks()).item() == pytest.approx(expected, rel=1e-6)
    expected = 0.3**2 * 0.5 / (1 + 1e-5)
    assert metrics.im2(c, target, Shrinks()).item() == pytest.approx(expected, rel=1e-6)


HEATMAP = torch.tensor([[[[1.0, -2.0], [0.0, 1.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])
LEFT = torch.tensor([[[True, False], [True, False]]])


def test_heatmap_mass():
    assert metrics.heatmap_mass(HEATMAP, LEFT).tolist() == [0.25, 0.0]
    assert metrics.heatmap_mass(HEATMAP, ~LEFT).tolist() == [0.75, 0.0]
    assert metrics.heatmap_mass(HEATMAP, torch.stack((~LEFT, LEFT))).tolist() == [0.75, 0.0]
    assert metrics.heatmap_mass(HEATMAP, torch.ones_like(LEFT)).tolist() == [1.0, 0.0]


def test_heatmap_pointing():
    assert metrics.heatmap_pointing(HEATMAP, LEFT).tolist() == [False, False]
    assert metrics.heatmap_pointing(HEATMAP, ~LEFT).tolist() == [True, False]
    tie = torch.tensor([[[[2.0, -2.0], [0.0, 0.0]]]])
    assert metrics.heatmap_pointing(tie, LEFT).tolist() == [False]
    assert metrics.heatmap_pointing(tie, torch.ones_like(LEFT)).tolist() == [True]


def test_heatmap_noise():
    board = torch.ones(64, 64)
    board[::2, 1::2] = board[1::2, ::2] = -1
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(1, 64, 64, generator=generator)
    ramp = torch.linspace(1, 2, 64).expand(64, 64)
    heatmaps = torch.stack([board[None], normal, ramp[None], torch.zeros(1, 64, 64)])
    found = metrics.heatmap_noise(torch.cat((heatmaps, 1e-300 * heatmaps.double()[:1])))
    assert found[0] == found[4] == pytest.approx(4 * 63 / 64)
    assert found[1] == pytest.approx(2 * 2**0.5, rel=0.05)
    assert found[2] == pytest.approx(1 / (64 * 1.5))
    assert found[3] == 0
    with pytest.raises(ValueError, match=r"must be \(B, C, H, W\), got \(2, 3\)"):
        metrics.heatmap_noise(torch.ones(2, 3))


def test_heatmap_rank():
    # The two largest are -2 (right) and one of two ones (left, right); a constant says nothing.
    assert metrics.heatmap_rank(HEATMAP, LEFT).tolist() == [0.25, 0.5]
    assert metrics.heatmap_rank(HEATMAP, ~LEFT).tolist() == [0.75, 0.5]
    heatmap = torch.tensor([[[[5.0, 3.0, -4.0, 0.0, 1.0]]]])
    for mask, share in (([1, 0, 1, 0, 0], 1), ([1, 1, 0, 0, 0], 0.5), ([0, 0, 0, 1, 1], 0)):
        assert metrics.heatmap_rank(heatmap, torch.tensor([[[mask]]]).bool()).tolist() == [share]
    with pytest.raises(ValueError, match="A mask is empty"):
        metrics.heatmap_rank(HEATMAP, torch.zeros_like(LEFT))


def test_a_mask_of_one_channel_is_of_all():
    heatmap = torch.rand(2, 3, 4, 4)
    mask = torch.rand(2, 1, 4, 4) > 0.5
    for measure in (metrics.heatmap_mass, metrics.heatmap_pointing, metrics.heatmap_rank):
        assert torch.equal(measure(heatmap, mask), measure(heatmap, mask.expand(-1, 3, -1, -1)))


# A linear "model" of 2 x 2 pictures: its probability is the weighted sum of pixels.
WEIGHTS = torch.tensor([[[0.4, 0.3], [0.2, 0.1]]])


def weighted(pictures):
    return (pictures * WEIGHTS).flatten(1).sum(1)


def test_deletion_and_insertion_of_a_linear_model_by_hand():
    x = torch.ones(2, 1, 2, 2)
    best, worst = WEIGHTS, -1 / WEIGHTS
    heatmap = torch.stack((best, worst))  # the sign does not count
    deletion = metrics.deletion_curve(weighted, x, heatmap, 0.0, 4)
    expected = torch.tensor([[1.0, 0.6, 0.3, 0.1, 0.0], [1.0, 0.9, 0.7, 0.4, 0.0]]).double()
    torch.testing.assert_close(deletion, expected, atol=1e-6, rtol=0)
    insertion = metrics.insertion_curve(weighted, x, heatmap, torch.zeros(1, 2, 2), 4)
    torch.testing.assert_close(insertion, 1 - expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(metrics.area(deletion), torch.tensor([0.375, 0.625]).double())
    half = metrics.deletion_curve(weighted, x, heatmap, 0.5, 2)
    torch.testing.assert_close(half, (1 + expected[:, ::2]) / 2, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        metrics.area(deletion),
        torch.from_numpy(trapezoid(deletion.numpy(), np.linspace(0, 1, 5), axis=1)),
    )


def test_deletion_takes_whole_pixels_and_refuses_no_step():
    x, heatmap = torch.ones(1, 3, 1, 2), torch.zeros(1, 3, 1, 2)
    heatmap[0, 0, 0, 0], heatmap[0, 1:, 0, 1] = 1.0, 0.75  # the second one by its sum
    seen = []
    metrics.deletion_curve(lambda c: seen.append(c) or c[:, 0, 0, 0], x, heatmap, 0.0, 2)
    assert [c[0, :, 0].tolist() for c in seen] == [[[1, 1]] * 3, [[1, 0]] * 3, [[0, 0]] * 3]
    with pytest.raises(ValueError, match="steps is 0"):
        metrics.deletion_curve(weighted, x, heatmap, 0.0, 0)


def test_plausible_is_above_the_quantile():
    log_prob = torch.tensor([-3.0, -2.0, -1.0])
    assert metrics.is_plausible(log_prob, -2.0).tolist() == [False, False, True]


def test_fid_of_linear_features_is_the_distance_of_two_gaussians():
    """The closed form with scipy's matrix root, of the samples' moments."""
    torch.manual_seed(0)
    a, b = torch.rand(200, 1, 2, 2).double(), 0.7 * torch.rand(150, 1, 2, 2).double() + 0.2
    features = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False)).double()
    with torch.no_grad():
        p, q = features(a), features(b)
    distance = metrics.fid(p, q)
    p, q = p.numpy(), q.numpy()
    s, t = np.cov(p.T), np.cov(q.T)
    expected = ((p.mean(0) - q.mean(0)) ** 2).sum() + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert expected > 0.005
    assert distance.item() == pytest.approx(expected, rel=1e-6)


def test_fid_sees_the_features_of_our_networks():
    torch.manual_seed(0)
    network = ConvNetwork((1, 8, 8), 2, widths=[4, 5], dropout=0.5).eval()
    images = torch.rand(20, 1, 8, 8)
    with torch.no_grad():
        features, darker = network.features(images), network.features(images / 2)
    assert features.shape[1] == 5
    assert metrics.fid(features, features).item() == pytest.approx(0, abs=1e-5)
    assert metrics.fid(features, darker) > 1e-4


def test_the_bootstrap_is_numpys_percentiles_of_the_same_draws():
    values = torch.rand(40, generator=torch.manual_seed(1))
    generator = torch.Generator().manual_seed(7)
    means = [
        values.double()[torch.randint(40, (40,), generator=generator)].mean() for _ in range(500)
    ]
    expected = np.percentile(means, [5, 95])
    interval = metrics.bootstrap_interval(values, samples=500, level=0.9, seed=7)
    np.testing.assert_allclose(interval, expected, rtol=1e-12)
    assert interval == metrics.bootstrap_interval(values, samples=500, level=0.9, seed=7)
    assert interval != metrics.bootstrap_interval(values, samples=500, level=0.9, seed=8)


def test_the_bootstrap_is_close_to_scipys():
    values = torch.rand(300, generator=torch.manual_seed(0)) < 0.9  # shares work too
    low, high = metrics.bootstrap_interval(values)
    theirs = stats.bootstrap(
        (values.double().numpy(),), np.mean, method="percentile", n_resamples=1000, random_state=0
    ).confidence_interval
    assert low < values.double().mean() < high
    assert (low, high) == pytest.approx(tuple(theirs), abs=0.006)
    assert metrics.bootstrap_interval(torch.full((5,), 0.25)) == (0.25, 0.25)


def test_values_of_one_group_are_drawn_together():
    """Nine copies of each image say no more than one."""
    values = torch.rand(50, generator=torch.manual_seed(2))
    groups = torch.arange(50)
    once = metrics.bootstrap_interval(values, groups=groups)
    assert once == metrics.bootstrap_interval(values)
    copies = metrics.bootstrap_interval(values.repeat(9), groups=10 * groups.repeat(9))
    assert copies == pytest.approx(once, rel=1e-12)
    low, high = metrics.bootstrap_interval(values.repeat(9))
    assert high - low < 0.5 * (once[1] - once[0])


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        ([], {}, "one or more finite values"),
        ([1.0, float("nan")], {}, "one or more finite values"),
        ([[1.0]], {}, r"got \(1, 1\)"),
        ([1.0], {"level": 95}, "level is 95"),
        ([1.0], {"samples": 0}, "samples 0"),
    ],
)
def test_what_can_not_be_resampled_is_refused(values, settings, message):
    with pytest.raises(ValueError, match=message):
        metrics.bootstrap_interval(torch.tensor(values), **settings)
