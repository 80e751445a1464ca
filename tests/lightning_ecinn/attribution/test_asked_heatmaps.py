"""Heatmaps of a classifier that is explained through a flow are those of the classifier."""

import pytest
import torch
from small_flow import classifier
from torch import nn

from lightning_ecinn import ConvNetwork, Explainer, attribute
from lightning_ecinn.attribution import METHODS, why_not
from lightning_ecinn.blackbox.fitted import Fitted, Takes
from lightning_ecinn.comparison import explain_by

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def flow():
    return Explainer(classifier(SHAPE, 2))


@pytest.fixture(scope="module")
def images():
    pictures = torch.rand(20, *SHAPE, generator=torch.Generator().manual_seed(1))
    pictures[::2] *= 0.3
    return (pictures * 255).round() / 255


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ConvNetwork(SHAPE, 3, widths=(4,)).eval()


def bright(x):
    return 20 * torch.stack((x.mean((1, 2, 3)), torch.full((len(x),), 0.3)), 1)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "ecinnh"])
def test_every_method_explains_the_network_and_not_the_flow(flow, images, network, method):
    asked = Explainer.for_classifier(flow, network, images)
    source, target = torch.tensor([0, 1]), torch.tensor([1, 2])
    found = attribute(asked, images[:2], target, source, method=method)
    expected = attribute(network, images[:2], target, source, method=method)
    torch.testing.assert_close(found.values, expected.values)


def test_ecinnh_is_the_change_of_the_counterfactual(flow, images):
    asked = Explainer.for_classifier(flow, bright, images)
    target = 1 - asked.posterior(images[:3]).argmax(1)
    found = attribute(asked, images[:3], target, undefined="keep").values
    cf = asked.explain(images[:3], target, undefined="keep")
    torch.testing.assert_close(found, cf.image - cf.input)
    assert cf.defined.any()


def no_gradient(x):
    return bright(x).detach()


def labels(x):
    return bright(x).argmax(1)


@pytest.mark.parametrize(
    ("predict", "has"),
    [
        (no_gradient, {"ecinnh", "occlusion"}),
        (labels, {"ecinnh"}),
        (bright, set(METHODS) - {"deep_lift", "deep_lift_shap"}),
    ],
)
def test_what_a_classifier_has_no_heatmap_of_is_left_out_and_refused(flow, images, predict, has):
    asked = Explainer.for_classifier(flow, predict, images, ["a", "b"])
    assert {method for method in METHODS if not why_not(asked, method)} == has
    explained = explain_by(asked, images[:2], METHODS)
    assert set(explained.heatmaps) == has
    assert explained.source.tolist() == asked.posterior(images[:2]).argmax(1).tolist()
    with pytest.raises(ValueError, match="There is no heatmap of DeepLift: "):
        attribute(asked, images[:2], 1, method="deep_lift")


def test_layers_of_an_exported_program_are_none(flow, images):
    exported = torch.export.export(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), (images,))
    module = Fitted(exported.module(), "program", Takes(batch=len(images)))
    asked = Explainer.for_classifier(flow, module, images)
    assert "layers" in why_not(asked, "deep_lift")
    assert not why_not(asked, "saliency")
