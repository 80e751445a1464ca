"""The temperature of the posterior: the likeliest one, and what it may not change."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from lightning_ecinn import Explainer, GaussianMixture, GenerativeClassifier, attribute
from lightning_ecinn.attribution import pair_score, posterior
from lightning_ecinn.models.temperature import fit_temperature


@pytest.fixture
def logits():
    """Of 400 images, three times as large as their labels were drawn from, and these labels."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(400, 3, dtype=torch.float64)
    return logits, torch.distributions.Categorical(logits=logits / 3).sample()


@pytest.fixture
def model():
    """A flow in which more than one class is likely, with class means."""
    torch.manual_seed(1)
    model = GenerativeClassifier((1, 4, 4), 3, blocks=[2], widths=[4], dropouts=[0], fc_width=8)
    model = model.double().eval()
    with torch.no_grad():
        z, _ = model.encode(torch.rand(3, 1, 4, 4, dtype=torch.float64))
        model.mixture.component_means.copy_(z.mean(0) + 4 * (z - z.mean(0)))
        model.class_means.copy_(z)
        model.class_counts.fill_(1)
    return model


def test_it_is_the_likeliest_temperature(logits):
    scores, labels = logits
    fitted = fit_temperature(scores, labels)
    assert 2.4 < fitted < 3.6
    best = cross_entropy(scores / fitted, labels)
    for other in (0.99, 1.01):
        assert cross_entropy(scores / (fitted * other), labels) > best
    beta = torch.tensor(1 / fitted, dtype=torch.float64, requires_grad=True)
    cross_entropy(scores * beta, labels).backward()
    assert beta.grad.abs() < 1e-12
    assert fit_temperature(7 * scores + 1e3, labels) == pytest.approx(7 * fitted, rel=1e-9)
    assert fit_temperature(scores.float(), labels) == pytest.approx(fitted, rel=1e-5)


def test_there_is_none_where_none_is_best(logits):
    scores, labels = logits
    assert fit_temperature(scores, scores.argmax(1)) is None
    assert fit_temperature(scores, scores.argmin(1)) is None
    assert fit_temperature(torch.zeros(4, 3), labels[:4]) is None
    with pytest.raises(ValueError, match="finite logits"):
        fit_temperature(scores * torch.nan, labels)
    with pytest.raises(ValueError, match="at least one image"):
        fit_temperature(scores[:0], labels[:0])


def test_everything_that_a_user_sees_agrees_and_nothing_else_changes(model):
    images, target = torch.rand(6, 1, 4, 4, dtype=torch.float64), 2
    explainer = Explainer(model)
    keep = explainer.posterior(images).argmax(1) != target
    images = images[keep]
    source = explainer.posterior(images).argmax(1)
    before = explainer.explain_steps(images, target, ["tipping", "convincing"])
    heat = attribute(model, images, target, method="integrated_gradients").values
    density = model.log_prob(images).detach()
    cold = model.mixture.scores(model.encode(images)[0]).detach()

    model.mixture.temperature.fill_(2.5)
    after = explainer.explain_steps(images, target, ["tipping", "convincing"])
    for one, other in zip(before, after, strict=True):  # alpha_0 and alpha_1, and their pictures
        for name in ("source", "alpha", "image", "latent", "defined"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        # softmax(s / T) is p^(1 / T), normalised
        expected = one.posterior ** (1 / 2.5)
        torch.testing.assert_close(other.posterior, expected / expected.sum(1, keepdim=True))
    expected = (cold / 2.5).softmax(1)
    for given in (explainer.posterior(images), model.posterior(images), posterior(model, images)):
        torch.testing.assert_close(given.detach(), expected)
        assert torch.equal(given.argmax(1), source)
    tie = after[0].posterior.gather(1, source[:, None])[:, 0]
    torch.testing.assert_close(tie, after[0].target_posterior)
    seen = model.posterior(after[1].image_8bit)
    torch.testing.assert_close(after[1].certificate.posterior, seen.detach())
    log_odds = pair_score(model, images, target, source).detach()
    torch.testing.assert_close(
        log_odds,
        (expected.log() @ torch.eye(3).double())[:, target]
        - expected.log().gather(1, source[:, None])[:, 0],
    )
    again = attribute(model, images, target, method="integrated_gradients").values
    torch.testing.assert_close(again, heat / 2.5)
    assert torch.equal(model.log_prob(images).detach(), density)


def test_a_certified_step_reaches_the_confidence_that_is_said(model):
    images = torch.rand(6, 1, 4, 4, dtype=torch.float64)
    explainer = Explainer(model, confidence=0.6)
    images = images[explainer.posterior(images).argmax(1) != 2]
    short = explainer.explain(images, 2, "certified")
    model.mixture.temperature.fill_(2.0)
    long = explainer.explain(images, 2, "certified")
    held = long.certificate.holds
    assert held.any()
    assert (long.certificate.posterior[held, 2] >= 0.6).all()
    assert (long.alpha >= short.alpha).all()


def test_earlier_states_have_the_temperature_one():
    mixture = GaussianMixture(2, 4)
    state = mixture.state_dict()
    mixture.temperature.fill_(3.0)
    del state["temperature"]
    mixture.load_state_dict(state)
    assert mixture.temperature == 1
    with pytest.raises(ValueError, match="its temperature is -1, which is not positive"):
        mixture.load_state_dict({**state, "temperature": torch.tensor(-1.0)})
