"""The objective against its equations, written out in plain Python."""

import math

import pytest
import torch

from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.training.losses import (
    bits_per_dim,
    bits_per_dim_paper,
    information_bottleneck_loss,
)

B, K, D = 5, 3, 7
BETAS = [0.0, 1.0, 1.4265, 50.0, math.inf]


@pytest.fixture
def terms():
    torch.manual_seed(0)
    return {
        "logits": -5 * torch.rand(B, K, dtype=torch.float64),
        "log_det": torch.randn(B, dtype=torch.float64),
        "mixture_logits": torch.randn(K, dtype=torch.float64),
        "labels": torch.tensor([0, 2, 1, 1, 0]),
    }


def loss(terms, beta=1.0, **settings):
    return information_bottleneck_loss(**terms, beta=beta, num_dims=D, **settings)


def by_hand(terms, beta, smoothing):
    phi, labels = terms["mixture_logits"].tolist(), terms["labels"].tolist()
    log_w = [p - math.log(sum(map(math.exp, phi))) for p in phi]
    rows = []
    for logits, log_det, label in zip(
        terms["logits"].tolist(), terms["log_det"].tolist(), labels, strict=True
    ):
        joint = [math.exp(l + w) for l, w in zip(logits, log_w, strict=True)]  # noqa: E741
        l_x = -(math.log(sum(joint)) + log_det) / D
        l_y = 0.0
        for y in range(K):
            t = (1 - smoothing) * (y == label) + smoothing / K
            l_y -= t * (math.log(joint[y] / sum(joint)) - log_w[y])
        weight_x = 2 / (1 + beta)
        weight_y = 2.0 if math.isinf(beta) else 2 * beta / (1 + beta)
        rows.append((weight_x * l_x + weight_y * l_y, l_x, l_y))
    return torch.tensor(rows, dtype=torch.float64).T


@pytest.mark.parametrize("smoothing", [0.0, 0.01, 0.5])
@pytest.mark.parametrize("beta", BETAS)
def test_is_its_equations(terms, beta, smoothing):
    given = torch.stack(loss(terms, beta, label_smoothing=smoothing))
    torch.testing.assert_close(given, by_hand(terms, beta, smoothing), rtol=1e-12, atol=1e-12)


def test_beta_zero_is_a_density_model(terms):
    result = loss(terms, 0.0)
    assert torch.equal(result.total, 2 * result.l_x)


def test_beta_infinite_is_a_classifier(terms):
    terms["log_det"].requires_grad_()
    result = loss(terms, math.inf)
    assert torch.equal(result.total, 2 * result.l_y)
    (gradient,) = torch.autograd.grad(result.total.sum(), terms["log_det"])
    assert torch.equal(gradient, torch.zeros(B, dtype=torch.float64))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("beta", BETAS)
def test_weights_learn_from_the_generative_part_only(terms, beta, smoothing):
    phi = terms["mixture_logits"].requires_grad_()
    result = loss(terms, beta, label_smoothing=smoothing)
    (total,) = torch.autograd.grad(result.total.sum(), phi, retain_graph=True)
    (generative,) = torch.autograd.grad(result.l_x.sum(), phi)
    torch.testing.assert_close(total, 2 / (1 + beta) * generative)
    assert generative.abs().max() > 0
    assert not result.l_y.requires_grad


def test_latents_learn_from_both_parts(terms):
    logits = terms["logits"].requires_grad_()
    result = loss(terms)
    for part in (result.l_x, result.l_y):
        assert torch.autograd.grad(part.sum(), logits, retain_graph=True)[0].abs().max() > 0


def test_extreme_logits_stay_finite(terms):
    terms["logits"] = terms["logits"] * 1e8
    for part in loss(terms, label_smoothing=0.01):
        assert part.isfinite().all()


@pytest.mark.parametrize("beta", [-1.0, -math.inf, math.nan])
def test_beta_must_not_be_negative(terms, beta):
    with pytest.raises(ValueError, match=f"beta must be 0 or larger .*got {beta}"):
        loss(terms, beta)


def test_bits_per_dim_of_uniform_noise_is_8():
    assert bits_per_dim(torch.zeros(2), D).tolist() == [8.0, 8.0]
    # Twice as dense in each dimension: one bit less.
    log_prob = torch.tensor([D * math.log(2)], dtype=torch.float64)
    assert bits_per_dim(log_prob, D).item() == pytest.approx(7)


def test_bits_per_dim_is_the_formula_over_flow_inputs():
    torch.manual_seed(0)
    model = GenerativeClassifier(
        (3, 4, 4), 3, blocks=(1,), widths=(4,), dropouts=(0,), fc_width=8
    ).double()
    images = torch.randint(256, (4, 3, 4, 4), dtype=torch.uint8)
    z, log_det = model.eval().flow(model.preprocessing(images))
    log_prob_v = model.mixture.log_prob(z) + log_det
    log_s = 16 * math.log(0.247 * 0.243 * 0.261)
    expected = (-log_prob_v + log_s) / (48 * math.log(2)) + 8
    given = bits_per_dim(model.log_prob(images), 48)
    torch.testing.assert_close(given, expected, rtol=1e-6, atol=1e-6)


def test_papers_bits_per_dim_is_a_constant_below():
    torch.manual_seed(0)
    model = GenerativeClassifier(
        (1, 4, 4), 3, blocks=(1,), widths=(4,), dropouts=(0,), fc_width=8
    ).double()
    images = torch.randint(256, (6, 1, 4, 4), dtype=torch.uint8)
    z, log_det = model.eval().flow(model.preprocessing(images))
    l_x = information_bottleneck_loss(
        model.mixture.logits(z),
        log_det,
        model.mixture.mixture_logits,
        torch.zeros(6, dtype=torch.long),
        beta=1.0,
        num_dims=16,
    ).l_x
    gap = bits_per_dim(model.log_prob(images), 16) - bits_per_dim_paper(l_x)
    expected = torch.full((6,), math.log2(2 * math.pi) - 1, dtype=torch.float64)
    torch.testing.assert_close(gap, expected, rtol=1e-10, atol=1e-10)
    paper = (l_x + math.log(256) - 0.5 * math.log(2 * math.pi)) / math.log(2)
    torch.testing.assert_close(bits_per_dim_paper(l_x), paper)
