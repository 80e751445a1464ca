"""Any input of an explainer gives a finite answer or one sentence, and certificates are honest."""

import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from properties import (
    JUNK,
    ODD_NUMBERS,
    anything,
    classes,
    finite_or_one_sentence,
    numbers,
    one_sentence,
    pictures,
    shapes_like,
)

sys.path.insert(0, str(Path(__file__).parent / "ecinn"))
from test_explainer import SHAPE, D, K, classifier

from lightning_ecinn import Explainer
from lightning_ecinn.ecinn import PathSettings
from lightning_ecinn.ecinn.class_means import ClassMeans

STEPS = ["tipping", "convincing", "star", "certified", 0.5, -1.0, 0, torch.tensor(0.2)]
ALPHAS = [*STEPS, *ODD_NUMBERS, *JUNK, torch.full((2,), 0.3), torch.ones(2, 2), torch.nan]


@cache
def explainer(dtype=torch.float32, **settings):
    return Explainer(classifier().to(dtype), chunk_size=5, **settings)


@given(anything(SHAPE))
def test_pictures(images):
    for call in ("encode", "posterior", "log_prob", "reconstruct"):
        finite_or_one_sentence(lambda call=call: getattr(explainer(), call)(images))


@given(anything(SHAPE), classes(K, 2), st.sampled_from(ALPHAS), st.sampled_from(["keep", "raise"]))
def test_explain(images, target, alpha, undefined):
    finite_or_one_sentence(lambda: explainer().explain(images, target, alpha, undefined=undefined))


@given(classes(K, 3), st.sampled_from(STEPS), pictures(SHAPE, counts=(3,)))
def test_explain_targets(target, alpha, images):
    cf = finite_or_one_sentence(
        lambda: explainer().explain(images, target, alpha, undefined="keep")
    )
    if cf is not None:
        assert cf.target.shape[0] == len(images)
        assert cf.image.min() >= 0
        assert cf.image.max() <= 1
        assert not any(t.requires_grad for t in vars(cf).values() if isinstance(t, torch.Tensor))
        finite_or_one_sentence(lambda: cf.certificate)


@given(shapes_like((2, D)).flatmap(numbers) | st.sampled_from(JUNK))
def test_decode(z):
    finite_or_one_sentence(lambda: explainer().decode(z))


@given(classes(K, 2), st.sampled_from([0, 1.0, 0.5, *ODD_NUMBERS, *JUNK]))
def test_sample(labels, temperature):
    finite_or_one_sentence(lambda: explainer().sample(labels, temperature))


@given(
    pictures(SHAPE),
    st.sampled_from(["tipping", "convincing", "star", "certified", 0.3]),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from([1.0, 0.5]),
)
def test_certificates_are_honest(images, alpha, dtype, truncation):
    """Of legal pictures, extreme ones too: seen by the plain classifier in float64."""
    target = torch.arange(K).expand(len(images), -1)
    made = explainer(dtype, truncation=truncation)
    cf = finite_or_one_sentence(lambda: made.explain(images, target, alpha, undefined="keep"))
    certificate = finite_or_one_sentence(lambda: cf.certificate)
    seen = (255 * cf.image.double()).round() / 255
    exact = explainer(torch.float64).classifier
    with torch.no_grad():
        posterior = exact.posterior(seen.flatten(0, 1)).unflatten(0, cf.target.shape)
        log_prob = exact.log_prob(seen.flatten(0, 1)).unflatten(0, cf.target.shape)
    near = 1e-3 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(certificate.posterior.double(), posterior, rtol=0, atol=near)
    torch.testing.assert_close(certificate.log_prob_after.double(), log_prob, rtol=near, atol=near)
    best, second = posterior.topk(2).values.unbind(-1)
    sure = best - second > 2 * near
    assert torch.equal(certificate.predicted[sure], posterior.argmax(-1)[sure])
    assert (certificate.predicted == cf.target)[certificate.holds].all()
    assert cf.defined[certificate.holds].all()
    if alpha == "certified":
        reached = posterior.gather(-1, cf.target.unsqueeze(-1)).squeeze(-1)
        moved = certificate.holds & (cf.source != cf.target)
        assert (reached[moved] >= 0.9 - near).all()
    told = [reason for row in certificate.reason for reason in row]
    assert [not reason for reason in told] == certificate.holds.flatten().tolist()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "chunk_size": st.sampled_from([1, 0, 2.5, True, *JUNK]),
            "truncation": st.sampled_from([0, 1, 0.5, *ODD_NUMBERS, *JUNK]),
            "confidence": st.sampled_from([0.5, *ODD_NUMBERS, *JUNK]),
            "convincing_step": st.sampled_from([(1, 0), [0.1, 2], (0, 1, 2), ("a", 1), *JUNK]),
            "step": st.just(1),
        },
    )
)
def test_settings(given):
    if "step" in given:
        with pytest.raises(TypeError, match="keyword argument 'step': give some of") as caught:
            Explainer(explainer().classifier, **given)
        one_sentence(caught.value)
        return
    finite_or_one_sentence(lambda: vars(Explainer(explainer().classifier, **given).path))
    given.pop("chunk_size", None)
    finite_or_one_sentence(lambda: vars(PathSettings(**given)))


@given(shapes_like((2, 3)).flatmap(numbers), classes(K, 2))
def test_class_means(z, predicted):
    if not isinstance(predicted, torch.Tensor):
        predicted = torch.zeros(2, dtype=torch.long)
    means = ClassMeans(K, 3, 0.05)

    def computed():
        means.update(z, predicted)
        return means.compute()

    finite_or_one_sentence(computed)


@settings(max_examples=4)
@given(pictures((1, 28, 28), counts=(1,)))
def test_the_shipped_model(images):
    made = shipped()
    target = torch.arange(10).expand(len(images), -1)
    cf = finite_or_one_sentence(lambda: made.explain(images, target, undefined="keep"))
    certificate = finite_or_one_sentence(lambda: cf.certificate)
    assert (certificate.predicted == cf.target)[certificate.holds].all()


@cache
def shipped():
    return Explainer.from_checkpoint("pretrained:mnist_small")
