"""The closed form: ties, Definition 1, steps and which pairs have any."""

import pytest
import torch

from lightning_ecinn.ecinn.settings import PAPER_STEP
from lightning_ecinn.ecinn.steps import (
    alpha_convincing,
    alpha_star,
    alpha_tipping,
    class_direction,
    explainable_pairs,
    leads_to_target,
    supplement_step,
    truncated_direction,
)
from lightning_ecinn.models.mixture import GaussianMixture

SEEDS = range(20)


def problem(seed):
    """A random mixture, class means that are off, latents of class p, and p, q; in float64."""
    generator = torch.Generator().manual_seed(seed)
    num_classes = int(torch.randint(2, 8, (), generator=generator))
    num_dims = int(torch.randint(num_classes, 60, (), generator=generator))
    mixture = GaussianMixture(num_classes, num_dims).double()
    with torch.no_grad():
        mixture.component_means += torch.randn(
            num_classes, num_dims, generator=generator, dtype=torch.float64
        )
    mu = mixture.component_means.detach()
    noise = torch.randn(mu.shape, generator=generator, dtype=torch.float64)
    class_means = mu + 0.2 * noise
    p, q = torch.randperm(num_classes, generator=generator)[:2]
    z = mu[p] + torch.randn(10, num_dims, generator=generator, dtype=torch.float64)
    return mixture, class_means, z, p, q


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_tie_at_the_tipping_point(seed):
    mixture, class_means, z, p, q = problem(seed)
    mu = mixture.component_means
    delta = class_direction(class_means, p, q)
    assert torch.equal(delta, class_means[q] - class_means[p])
    alpha_0 = alpha_tipping(z, delta, mu[p], mu[q])
    assert alpha_0.shape == (10,)
    z0 = z + alpha_0.unsqueeze(1) * delta
    to_p, to_q = (z0 - mu[p]).norm(dim=1), (z0 - mu[q]).norm(dim=1)
    assert ((to_p - to_q).abs() / to_p).max() < 1e-12
    log_posterior = mixture.log_posterior(z0)
    assert (log_posterior[:, p] - log_posterior[:, q]).abs().max() < 1e-10


@pytest.mark.parametrize("seed", SEEDS)
def test_tipping_point_is_appendix_a(seed):
    mixture, class_means, z, p, q = problem(seed)
    mu, delta = mixture.component_means, class_direction(class_means, p, q)
    w = mu[q] - mu[p]
    b = -0.5 * (mu[p] + mu[q]) @ w
    expected = -(z @ w + b) / (w @ delta)
    torch.testing.assert_close(alpha_tipping(z, delta, mu[p], mu[q]), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_definition_1_along_the_path(seed):
    """p(p|h) > p(q|h) before the tipping point, < after it, and strictly falling in between."""
    mixture, class_means, z, p, q = problem(seed)
    mu, delta = mixture.component_means, class_direction(class_means, p, q)
    pairs = explainable_pairs(mu, class_means, torch.ones(len(mu)))
    assert pairs[p, q]
    alpha_0 = alpha_tipping(z, delta, mu[p], mu[q])
    gaps = []
    for offset in (-1.0, -0.3, -1e-6, 1e-6, 0.3, 1.0):
        moved = z + (alpha_0 + offset).unsqueeze(1) * delta
        log_posterior = mixture.log_posterior(moved)
        gaps.append(log_posterior[:, p] - log_posterior[:, q])
        assert (gaps[-1].sign() == -torch.tensor(offset).sign()).all()
    assert (torch.stack(gaps).diff(dim=0) < 0).all()


def test_tipping_point_survives_a_large_common_offset():
    """w.z and b are huge and cancel: in float32 their difference would be lost."""
    generator = torch.Generator().manual_seed(0)
    # Sixteenths, so that float32 holds the numbers themselves exactly.
    mu_p, mu_q, z = 1e5 + torch.randint(-32, 32, (3, 50), generator=generator) / 16
    expected = alpha_tipping(z.double(), (mu_q - mu_p).double(), mu_p.double(), mu_q.double())
    given = alpha_tipping(z, mu_q - mu_p, mu_p, mu_q)
    torch.testing.assert_close(given.double(), expected, rtol=1e-5, atol=1e-6)


def test_batched_classes_agree_with_single_ones():
    mixture, class_means, z, _, _ = problem(3)
    mu, num_classes = mixture.component_means, mixture.num_classes
    p = torch.arange(10) % num_classes
    q = (p + 1) % num_classes
    given = alpha_tipping(z, class_direction(class_means, p, q), mu[p], mu[q])
    for k in range(10):
        delta = class_direction(class_means, p[k], q[k])
        torch.testing.assert_close(given[k], alpha_tipping(z[k], delta, mu[p[k]], mu[q[k]]))


def test_convincing_steps():
    alpha_0 = torch.tensor([-0.2, 0.0, 0.4, 1.0, 1.5], dtype=torch.float64)
    assert PAPER_STEP == (0.8, 0.5)
    torch.testing.assert_close(alpha_convincing(alpha_0), 4 / 5 + alpha_0 / 2)
    for t in (0.0, 0.5, 4 / 5, 1.0):
        expected = alpha_0 + t * (1 - alpha_0)
        torch.testing.assert_close(alpha_convincing(alpha_0, supplement_step(t)), expected)
    default = alpha_convincing(alpha_0, supplement_step())
    torch.testing.assert_close(default, alpha_0 + 0.8 * (1 - alpha_0))
    # Where alpha_0 = 1/2, as for perfectly central latents, the paper's step goes to 1.05.
    assert alpha_convincing(torch.tensor(0.5)).item() == pytest.approx(1.05)


def nearest(mu, z, steps, direction):
    """The nearest class (N, S) at each step (S,) along the way from each latent (N, D)."""
    path = z.unsqueeze(1) + steps.view(1, -1, 1) * direction.unsqueeze(1)
    return torch.cdist(path, mu.expand(len(z), -1, -1)).argmin(2)


def test_alpha_star_against_a_scan():
    """To every class, along directions of which some lead past the target."""
    outcomes = set()
    for seed in range(6):
        mixture, class_means, z, p, _ = problem(seed)
        mu, z = mixture.component_means.detach(), z[:3]
        noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed)).double()
        for q in range(len(mu)):
            for direction in (class_means[q] - class_means[p], noise[q] + mu[q] - mu[p], noise[q]):
                direction = direction.expand_as(z)
                outcomes |= compared_with_scan(mu, z, direction, q)
    assert outcomes == {True, False}


def compared_with_scan(mu, z, direction, q):
    """Compare alpha_star with steps 0.01 apart; whether there were any, as a set."""
    alpha, exists = alpha_star(z, direction, mu, torch.full((len(z),), q))
    steps = torch.linspace(0, 8, 801, dtype=torch.float64)
    reached = nearest(mu, z, steps, direction) == q
    far = nearest(mu, z, torch.tensor([1e3, 1e5]), direction) == q
    for k in range(len(z)):
        if not exists[k]:
            assert not reached[k].any()
            assert not far[k].any()
            assert alpha[k] == 0
        elif reached[k].any() and alpha[k] < 8:
            first = steps[reached[k]][0]
            assert first - 0.01 - 1e-9 <= alpha[k] <= first + 1e-9
        else:  # reached beyond the scan, or for less than its spacing
            distances = torch.cdist(z[k : k + 1] + alpha[k] * direction[k], mu)[0]
            assert distances[q] - distances.min() < 1e-9 * distances[q]
    return set(exists.tolist())


def test_alpha_star_on_a_toy():
    mu = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 1.0]])
    z = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.9, 0.0], [0.0, 0.0], [0.0, 0.0]])
    direction = torch.tensor([[4.0, 0.0], [2.0, 1.0], [4.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    alpha, exists = alpha_star(z, direction, mu, torch.tensor([1, 2, 1, 1, 1]))
    # On the line to class 1 the class beside it, (2, 1), is nearer until x = 11/4.
    torch.testing.assert_close(alpha, torch.tensor([11 / 16, 0.5, 0.0, 0.0, 0.0]))
    assert exists.tolist() == [True, True, True, False, False]
    # A third class right behind the target on the way: never.
    behind = torch.tensor([[0.0, 0.0], [2.0, 1.0], [2.1, 0.0]])
    alpha, exists = alpha_star(z[0], torch.tensor([4.0, 0.0]), behind, torch.tensor(1))
    assert (alpha.item(), exists.item()) == (0, False)
    assert alpha.shape == ()


def test_alpha_star_is_finite_where_the_slope_hardly_is_positive():
    mu = torch.tensor([[0.0], [1.0]])
    tiny = torch.full((1, 1), 1e-40)
    alpha, exists = alpha_star(torch.full((1, 1), -1e3), tiny, mu, torch.tensor([1]))
    assert (alpha.item(), exists.item()) == (0, False)


@pytest.mark.parametrize("seed", SEEDS)
def test_with_two_classes_alpha_star_is_the_tipping_point(seed):
    generator = torch.Generator().manual_seed(seed)
    mu, means = torch.randn(2, 2, 9, generator=generator, dtype=torch.float64)
    z = mu[0] + 0.1 * torch.randn(10, 9, generator=generator, dtype=torch.float64)
    delta = class_direction(means, torch.tensor(0), torch.tensor(1))
    alpha, exists = alpha_star(z, delta, mu, torch.ones(10, dtype=torch.long))
    expected = leads_to_target(mu[0], mu[1], delta).expand(10)
    assert torch.equal(exists, expected)
    if exists.all():
        torch.testing.assert_close(alpha, alpha_tipping(z, delta, mu[0], mu[1]))


def test_truncated_direction():
    generator = torch.Generator().manual_seed(0)
    z, mean_p, mean_q = torch.randn(3, 5, 8, generator=generator, dtype=torch.float64)
    delta = mean_q - mean_p
    assert truncated_direction(delta, z, mean_p, 1.0) is delta
    for psi in (0.0, 0.3, 0.7):
        end = z + truncated_direction(delta, z, mean_p, psi)
        torch.testing.assert_close(end, mean_q + psi * (z - mean_p))


def test_explainable_pairs_on_a_toy():
    mu = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    counts = torch.ones(3)
    off_diagonal = ~torch.eye(3, dtype=torch.bool)
    assert torch.equal(explainable_pairs(mu, mu, counts), off_diagonal)
    # Class mean 1 lies on the far side of class mean 0: that pair has no step, both ways.
    means = torch.tensor([[0.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    expected = torch.tensor([[0, 0, 1], [0, 0, 1], [1, 1, 0]]).bool()
    assert torch.equal(explainable_pairs(mu, means, counts), expected)
    # Orthogonal to w: w . Delta = 0 is no step either.
    means = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    assert not explainable_pairs(mu, means, counts)[0, 1]
    # A class without a mean.
    expected = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]]).bool()
    assert torch.equal(explainable_pairs(mu, mu, torch.tensor([5, 1, 0])), expected)
