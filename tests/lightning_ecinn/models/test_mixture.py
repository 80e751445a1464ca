"""The mixture against torch.distributions."""

import math

import pytest
import torch
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from lightning_ecinn.models.mixture import GaussianMixture

K, D = 4, 11


@pytest.fixture
def mixture():
    torch.manual_seed(0)
    mixture = GaussianMixture(K, D).double()
    with torch.no_grad():
        mixture.component_means.normal_()
        mixture.mixture_logits.normal_()
    return mixture


@pytest.fixture
def z():
    torch.manual_seed(1)
    return 2 * torch.randn(9, D, dtype=torch.float64)


def by_class(mixture, z):
    eye = torch.eye(D, dtype=z.dtype)
    return torch.stack(
        [MultivariateNormal(mu, eye).log_prob(z) for mu in mixture.component_means], dim=1
    )


def test_log_prob_given_class(mixture, z):
    torch.testing.assert_close(mixture.log_prob_given_class(z), by_class(mixture, z))


def test_logits_are_squared_distances(mixture, z):
    expected = -0.5 * torch.cdist(z, mixture.component_means).square()
    torch.testing.assert_close(mixture.logits(z), expected)


def test_log_prob(mixture, z):
    components = Independent(Normal(mixture.component_means, 1.0), 1)
    outside = MixtureSameFamily(Categorical(logits=mixture.mixture_logits), components)
    torch.testing.assert_close(mixture.log_prob(z), outside.log_prob(z))
    torch.testing.assert_close(mixture.log_weights.exp(), mixture.mixture_logits.softmax(0))


def test_posterior_has_a_uniform_prior(mixture, z):
    likelihood = by_class(mixture, z).exp()
    expected = likelihood / likelihood.sum(1, keepdim=True)
    torch.testing.assert_close(mixture.log_posterior(z).exp(), expected)
    assert torch.equal(
        mixture.log_posterior(z).argmax(1), torch.cdist(z, mixture.component_means).argmin(1)
    )


def test_scores_are_the_posterior_up_to_one_number(mixture, z):
    mu = mixture.component_means
    scores = mixture.scores(z)
    torch.testing.assert_close(scores, z @ mu.T - mu.square().sum(1) / 2)
    assert torch.equal(scores.log_softmax(1), mixture.log_posterior(z))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mixture.float().scores(z.float()).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_latents_stay_finite(mixture, dtype):
    mixture = mixture.to(dtype)
    for z in (torch.full((2, D), 1e3, dtype=dtype), torch.full((2, D), -1e3, dtype=dtype)):
        for value in (mixture.log_prob(z), mixture.log_posterior(z), mixture.logits(z)):
            assert value.isfinite().all()
        total = mixture.log_posterior(z).exp().sum(1)
        torch.testing.assert_close(total, torch.ones(2, dtype=dtype))


def test_far_latents_keep_their_posterior_in_float32(mixture):
    """||z||^2 cancels: it must not drown the differences that decide."""
    torch.manual_seed(2)
    z = 100 * torch.randn(50, D, dtype=torch.float64)
    mu = mixture.component_means
    # Move each latent to where classes 0 and 1 nearly tie, and others are far behind.
    with torch.no_grad():
        mu[2:] = -1e3 * z.mean(0, keepdim=True)
    w = mu[1] - mu[0]
    z = z - ((z - (mu[0] + mu[1]) / 2) @ w - 0.05).unsqueeze(1) * w / w.square().sum()
    z = z.float().double()
    pair = GaussianMixture(2, D).double()
    pair.component_means = torch.nn.Parameter(mu[:2].float().double())
    expected = pair.log_posterior(z)
    given = pair.float().log_posterior(z.float())
    torch.testing.assert_close(given.double(), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("num_classes", "num_dims"), [(10, 784), (3, 16), (7, 7), (2, 5)])
def test_initial_means(num_classes, num_dims):
    means = GaussianMixture(num_classes, num_dims).component_means
    value = 5 / math.sqrt(2 * num_dims // num_classes)
    last = num_classes * (num_dims // num_classes)
    for y in range(num_classes):
        expected = torch.zeros(num_dims)
        for position in range(y, last, num_classes):
            expected[position] = value
        torch.testing.assert_close(means[y].detach(), expected)


def test_initial_distances_and_weights():
    mixture = GaussianMixture(10, 784)
    assert mixture.mean_distances().shape == (45,)
    # 78 entries of 5 / sqrt(156) in each of two means.
    torch.testing.assert_close(mixture.mean_distances(), torch.full((45,), 5.0))
    torch.testing.assert_close(mixture.log_weights, torch.full((10,), -math.log(10)))
    assert (mixture.num_classes, mixture.num_dims) == (10, 784)


@pytest.mark.parametrize(("num_classes", "num_dims"), [(1, 5), (0, 5), (6, 5)])
def test_errors(num_classes, num_dims):
    with pytest.raises(ValueError, match=f"got {num_classes} classes in 5 dimensions"):
        GaussianMixture(num_classes, num_dims)
