"""Any input of a heatmap gives a finite answer or one sentence, and leaves no trace."""

import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from properties import JUNK, ODD_NUMBERS, anything, classes, finite_or_one_sentence, pictures
from torch import nn

from lightning_ecinn import Explainer, attribute
from lightning_ecinn.attribution import METHODS, pair_score, posterior

sys.path.insert(0, str(Path(__file__).parent / "ecinn"))
from test_explainer import SHAPE, K, classifier

FEW = {"integrated_gradients": {"n_steps": 3}} | {
    name: {"n_samples": 2} for name in ("gradient_shap", "noise_tunnel")
}


@cache
def model(kind):
    if kind == "network":
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, K))
    flow = classifier(blocks=(1,))
    return Explainer(flow) if kind == "explainer" else flow


def network(asked):
    return getattr(asked, "classifier", asked)


kinds = st.sampled_from(["network", "explainer", "flow"])
baselines = st.one_of(
    st.none(), st.sampled_from([0.5, *ODD_NUMBERS, *JUNK]), anything(SHAPE),
    pictures(SHAPE).map(lambda images: images[0]),
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=8)
@given(kinds, anything(SHAPE), classes(K, 2), st.none() | classes(K, 2), baselines)
def test_attribute(method, kind, images, target, source, base):
    takes = method not in ("ecinnh", "saliency", "input_x_gradient", "noise_tunnel")
    given = {"baselines": base} if takes else {}
    given |= {"undefined": "keep"} if method == "ecinnh" else FEW.get(method, {})
    asked = model(kind)
    flags = [weight.requires_grad for weight in network(asked).parameters()]
    heatmap = finite_or_one_sentence(
        lambda: attribute(asked, images, target, source, method=method, chunk_size=7, **given)
    )
    if heatmap is not None:
        assert heatmap.values.shape == images.shape
    assert [weight.requires_grad for weight in network(asked).parameters()] == flags


@given(kinds, anything(SHAPE), classes(K, 2), classes(K, 2))
def test_scores(kind, images, target, source):
    with torch.no_grad():
        finite_or_one_sentence(lambda: pair_score(model(kind), images, target, source))
    finite_or_one_sentence(lambda: posterior(model(kind), images))


@given(
    st.sampled_from([*METHODS, *JUNK]),
    st.dictionaries(
        st.sampled_from(
            ["chunk_size", "seed", "n_steps", "n_samples", "stdev", "window", "stride", "undefined"]
        ),
        st.sampled_from([1, 2, 0, -1, 0.5, True, *ODD_NUMBERS[5:], *JUNK]),
        max_size=2,
    ),
)
def test_options(method, options):
    # As many steps as are asked for would be taken.
    options = {k: v for k, v in options.items() if not isinstance(v, int) or abs(v) < 10**6}
    images = torch.full((1, *SHAPE), 0.5)
    finite_or_one_sentence(lambda: attribute(model("network"), images, 1, method=method, **options))


class Rounded(nn.Module):
    def forward(self, images):
        return images.detach().flatten(1)[:, :K]


def test_a_model_without_gradients_gets_one_sentence():
    images = torch.full((1, *SHAPE), 0.5)
    for method in ("saliency", "integrated_gradients", "deep_lift"):
        with pytest.raises(ValueError, match="logits have no gradient in the images"):
            attribute(Rounded(), images, 1, method=method)
    assert attribute(Rounded(), images, 1, method="occlusion").values.isfinite().all()


def test_images_that_a_network_can_not_take_get_one_sentence():
    wide = torch.zeros(1, 1, 4, 5)
    for call in (
        lambda: attribute(model("network"), wide, 1, method="saliency"),
        lambda: pair_score(model("network"), wide, 1, 0),
        lambda: posterior(model("network"), wide),
    ):
        with pytest.raises(ValueError, match=r"fails on images \(1, 1, 4, 5\) of torch.float32 "):
            call()
