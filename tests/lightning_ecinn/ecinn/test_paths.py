"""Paths by hand: directions, what is defined, and what a user may ask for."""

import math

import jsonargparse
import pytest
import torch
from test_explainer import K, anchors, classifier

from lightning_ecinn import Explainer
from lightning_ecinn.ecinn.paths import Paths
from lightning_ecinn.ecinn.settings import PAPER_STEP, PathSettings
from lightning_ecinn.ecinn.undefined import refuse_undefined, refuse_unreachable


@pytest.fixture
def model():
    return classifier().double()


@pytest.fixture
def paths(model):
    """From each class to each."""
    z, _ = model.encode(anchors())
    return Paths.towards(model, z.detach(), torch.arange(K).expand(K, -1), 1.0)


def test_towards(model, paths):
    assert torch.equal(paths.source, torch.arange(K).unsqueeze(1).expand(K, K))
    assert torch.equal(paths.same, torch.eye(K, dtype=torch.bool))
    assert paths.defined.all()
    p, q = paths.source, paths.target
    assert torch.equal(paths.direction, model.class_means[q] - model.class_means[p])
    ends = paths.at(torch.full((2, K, K), 0.5, dtype=torch.float64))
    assert ends.shape == (2, K, K, model.num_dims)
    torch.testing.assert_close(ends[1], paths.z + 0.5 * paths.direction)


def test_a_class_without_a_mean_has_no_paths(model, paths):
    model.class_counts[1] = 0
    z = paths.z.squeeze(1)
    again = Paths.towards(model, z, paths.target, 1.0)
    expected = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]]).bool()
    assert torch.equal(again.defined, expected)
    with pytest.raises(ValueError, match="No training image was classified as bee"):
        refuse_undefined(model, again)
    lengths, exist = again.lengths(["tipping", "star", 0.5], PAPER_STEP)
    assert torch.equal(exist, expected.expand(3, -1, -1))
    assert not lengths[:, ~expected].any()
    assert not lengths[:, again.same].any()


def test_lengths(paths):
    own = torch.rand(K, K, dtype=torch.float64)
    tipping, convincing, further, number, given = paths.lengths(
        ["tipping", "convincing", "certified", 0.3, own], (0.9, 0.25)
    )[0]
    away = ~paths.same
    torch.testing.assert_close(convincing[away], 0.9 + 0.25 * tipping[away])
    assert (further[away] >= tipping[away] - 1e-12).all()
    assert (number[away] == 0.3).all()
    assert torch.equal(given[away], own[away])


def test_only_those_that_are_asked_for(paths):
    asked = torch.tensor([[0, 1, 0], [0, 0, 0], [1, 0, 0]]).bool()
    z, direction, target = paths.only(asked)
    assert target.tolist() == [1, 0]
    assert torch.equal(z, paths.z[[0, 2], 0])
    assert torch.equal(direction, torch.stack((paths.direction[0, 1], paths.direction[2, 0])))


@pytest.mark.parametrize("alpha", ["foo", math.nan, torch.zeros(K + 1)])
def test_what_is_no_step_is_refused(paths, alpha):
    with pytest.raises(ValueError, match="alpha must be"):
        paths.lengths([alpha], PAPER_STEP)


def test_unreachable_is_refused_with_its_image(model, paths):
    exists = torch.ones(K, K, dtype=torch.bool)
    refuse_unreachable(model, paths, exists)
    exists[2, 1] = False
    with pytest.raises(ValueError, match=r"cow to bee puts bee .* image 2 \(1 of 9"):
        refuse_unreachable(model, paths, exists)


def test_settings_have_one_definition(model):
    explainer = Explainer(model, convincing_step=[0.9, 0.3], truncation=0.8)
    assert explainer.path == PathSettings(convincing_step=(0.9, 0.3), truncation=0.8)
    explainer.confidence = 0.5
    assert explainer.path.confidence == 0.5
    with pytest.raises(TypeError, match="step"):
        Explainer(model, step=(0.8, 0.5))


def test_the_command_line_sees_through_to_the_settings():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Explainer, "explainer", skip={"classifier"})
    text = parser.format_help()
    for name in ("convincing_step", "truncation", "confidence", "chunk_size"):
        assert f"--explainer.{name}" in text
    assert "the posterior of the target that the certified step reaches" in " ".join(text.split())
    given = parser.parse_args(["--explainer.convincing_step=[0.9, 0.2]"])
    assert given.explainer.convincing_step == (0.9, 0.2)
