"""The classifier two-sample test: what is alike, what is not, and that halves hold together."""

import math
from functools import partial

import pytest
import torch
from scipy.stats import mannwhitneyu
from torch import nn

from lightning_ecinn.metrics import roc_auc, told_apart
from lightning_ecinn.metrics.two_sample import _halves, _numbered, in_8_bits
from lightning_ecinn.models.networks import ConvNetwork

few = partial(told_apart, samples=20)


def network(channels=1):
    return lambda: ConvNetwork((channels, 8, 8), 2, widths=(4,))


def smooth(count, seed, channels=1):
    """Pictures of one value each, with a gradient."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.rand(count, channels, 1, 1, generator=generator) / 2
    return level + torch.linspace(0, 0.3, 8).expand(count, channels, 8, 8)


def checkers(pictures, height=0.1):
    board = torch.arange(8)[:, None] + torch.arange(8)
    return pictures + height * (board % 2)


@pytest.mark.parametrize("size", [1, 2, 7, 60])
def test_auc_is_a_count_of_pairs(size):
    generator = torch.Generator().manual_seed(size)
    a = torch.randint(6, (size,), generator=generator).double() / 3
    b = torch.randint(6, (size + 3,), generator=generator).double() / 3 + 0.2 * (size == 7)
    wins = (b > a[:, None]).double() + (b == a[:, None]).double() / 2
    assert roc_auc(a, b).item() == pytest.approx(wins.mean().item(), abs=1e-15)
    assert roc_auc(b, a).item() == pytest.approx(1 - wins.mean().item(), abs=1e-15)
    outside = mannwhitneyu(b.numpy(), a.numpy()).statistic / (len(a) * len(b))
    assert roc_auc(a, b).item() == pytest.approx(outside, abs=1e-15)


def test_auc_of_scores_that_are_none():
    for a, b in ((torch.zeros(0), torch.zeros(2)), (torch.zeros(2), torch.tensor([math.nan]))):
        with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
            roc_auc(a, b)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_differs_is_told_apart(channels):
    real, other = smooth(60, 0, channels), smooth(60, 1, channels)
    for pictures in (checkers(other), other + 0.2):
        found = few(real, pictures, network(channels), repeats=2)
        assert found.auc > 0.75
        assert found.accuracy_interval[0] <= found.accuracy <= found.accuracy_interval[1]
        assert found.auc_interval[0] <= found.auc <= found.auc_interval[1]
        assert (found.trained, found.tested) == (30, 30)
    assert few(real, checkers(other, 0.2), network(channels)).accuracy > 0.95


def test_what_is_alike_is_not():
    """Six halves of 400: the mean accuracy is within four deviations of 1/2."""
    real, pictures = smooth(400, 0), smooth(400, 1)
    make = lambda: nn.Sequential(Levels(), nn.Linear(64, 2))  # noqa: E731
    found = told_apart(real, pictures, make, repeats=6, samples=100)
    within = 4 * 0.5 / math.sqrt(400)  # each image is tested about three times
    assert abs(found.accuracy - 0.5) < within
    assert abs(found.auc - 0.5) < within
    low, high = found.accuracy_interval
    assert 0 < high - low < 2 * within
    swapped = told_apart(pictures, real, make, repeats=6, samples=100)
    assert abs(swapped.accuracy - found.accuracy) < within


def test_the_same_pictures_on_both_sides_can_not_be_told_apart(monkeypatch):
    """Pairs fall into one half, so the accuracy and the AUC are exactly 1/2."""
    monkeypatch.setattr("lightning_ecinn.metrics.two_sample_training._STEPS", 10)
    real = smooth(50, 0)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    groups = torch.arange(50), order
    found = few(real, real[order], network(), groups=groups)
    assert found.accuracy == found.auc == 0.5
    assert found.accuracy_interval == found.auc_interval == (0.5, 0.5)


def test_seeds(monkeypatch):
    monkeypatch.setattr("lightning_ecinn.metrics.two_sample_training._STEPS", 10)
    real, pictures = smooth(40, 0), checkers(smooth(50, 1), 0.01)
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = few(real, pictures, network(), seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    torch.manual_seed(4)
    assert few(real, pictures, network(), seed=1) == first
    assert few(real, pictures, network(), seed=2) != first
    with torch.inference_mode():
        assert few(real.clone(), pictures.clone(), network(), seed=1) == first
        assert torch.is_inference_mode_enabled()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert few(real, pictures, network(), seed=1) == first
        assert not torch.is_grad_enabled()


def test_what_8_bits_do_not_show_is_no_give_away(monkeypatch):
    monkeypatch.setattr("lightning_ecinn.metrics.two_sample_training._STEPS", 10)
    real = in_8_bits(smooth(40, 0))
    exact = real.double() / 255
    noise = torch.rand(exact.shape, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    plain = few(real, real, network())
    assert few(real, (exact + (noise - 0.5) / 260).clamp(0, 1), network()) == plain
    assert few(exact.float(), real, network()) == plain
    assert plain.accuracy == 0.5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_8_bits(dtype):
    levels = torch.arange(256, dtype=torch.uint8)
    floats = (levels.double() / 255).to(dtype)
    if dtype != torch.bfloat16:  # too coarse for 256 levels
        assert torch.equal(in_8_bits(floats), levels)
    assert in_8_bits(floats)[[0, -1]].tolist() == [0, 255]


def test_halves_keep_groups_together_and_both_kinds_even():
    generator = torch.Generator().manual_seed(0)
    real, pictures = torch.randperm(90, generator=generator), torch.arange(300) // 4
    groups = _numbered((real, pictures), 90, 300)
    first, second = _halves(*groups, generator)
    for half in (first, second):
        assert len(half.real) == len(half.pictures) >= 40
        assert len(half.real.unique()) == len(half.real)
    torn = [
        set(torch.cat((real[half.real], pictures[half.pictures])).tolist())
        for half in (first, second)
    ]
    assert not torn[0] & torn[1]
    other, _ = _halves(*groups, torch.Generator().manual_seed(1))
    assert not torch.equal(first.real, other.real)


@pytest.mark.parametrize(
    ("real", "pictures", "more", "message"),
    [
        (torch.zeros(19, 1, 8, 8), torch.zeros(30, 1, 8, 8), {}, "19 real images and 30 pictures"),
        (torch.zeros(30, 1, 8, 8), torch.zeros(30, 1, 8, 9), {}, "(30, 1, 8, 8) and (30, 1, 8, 9)"),
        (torch.zeros(30, 8, 8), torch.zeros(30, 8, 8), {}, "must be (N, C, H, W)"),
        (torch.full((30, 1, 8, 8), 255.0), torch.zeros(30, 1, 8, 8), {}, "divide 8-bit ones"),
        (torch.full((30, 1, 8, 8), math.nan), torch.zeros(30, 1, 8, 8), {}, "must be finite"),
        (torch.zeros(30, 1, 8, 8).long(), torch.zeros(30, 1, 8, 8), {}, "got torch.int64"),
        (None, None, {"repeats": 0}, "repeats is 0"),
        (None, None, {"seed": 0.5}, "seed is 0.5"),
        (None, None, {"groups": (torch.zeros(30).long(),) * 2}, "too few groups"),
        (None, None, {"groups": (torch.arange(30), torch.arange(29))}, "groups must be"),
    ],
)
def test_mistakes(real, pictures, more, message):
    real = torch.zeros(30, 1, 8, 8) if real is None else real
    pictures = torch.zeros(30, 1, 8, 8) if pictures is None else pictures
    with pytest.raises(ValueError, match=r"^[A-Za-z].*\.$") as caught:
        told_apart(real, pictures, network(), **more)
    assert message in str(caught.value)


class Levels(nn.Module):
    """Grey levels as numbers from 0 to 1, (B, C H W)."""

    def forward(self, pictures):
        return pictures.flatten(1).float() / 255
