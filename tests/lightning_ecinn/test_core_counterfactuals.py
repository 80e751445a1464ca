"""The closed form: ties, Definition 1, steps and which pairs have any."""

import pytest
import torch

from lightning_ecinn.counterfactuals import (
    PAPER_STEP,
    Counterfactual,
    alpha_convincing,
    alpha_tipping,
    class_direction,
    explainable_pairs,
    supplement_step,
)
from lightning_ecinn.mixture import GaussianMixture

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


def test_result_properties():
    image, given = torch.rand(2, 3, 1, 4, 4), torch.rand(2, 3, 1, 4, 4)
    posterior = torch.rand(2, 3, 5)
    target = torch.tensor([[0, 1, 4], [2, 2, 3]])
    result = Counterfactual(
        input=given,
        image=image,
        source=torch.zeros_like(target),
        target=target,
        alpha=torch.ones(2, 3),
        posterior=posterior,
        latent=torch.zeros(2, 3, 16),
        defined=torch.ones(2, 3, dtype=torch.bool),
    )
    assert torch.equal(result.heatmap, image - given)
    assert result.heatmap.min() < 0 < result.heatmap.max()
    assert result.target_posterior.shape == (2, 3)
    assert result.target_posterior[0, 2] == posterior[0, 2, 4]
    levels = result.image_8bit * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert (result.image_8bit - image).abs().max() <= 0.5 / 255 + 1e-6
