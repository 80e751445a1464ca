"""Whether another network sees the target, against `Explainer.explain`; the grid of offsets."""

import pytest
import torch
from test_explainer import SHAPE, K, anchors, classifier

from lightning_ecinn import Explainer
from lightning_ecinn.ecinn.agreement import Agreement, fit_offset, offsets_from


def judge(pictures):
    """Sees the class whose anchor is nearest."""
    return -torch.cdist(pictures.flatten(1), anchors().flatten(1))


@pytest.mark.parametrize("step", [(0.8, 0.5), (1.4, 0.25)])
@pytest.mark.parametrize("chunk_size", [4, 256])
def test_it_sees_what_explain_shows(step, chunk_size):
    model = classifier().double()
    model.class_counts[2] = 0  # no step leads there
    explainer = Explainer(model, convincing_step=step, truncation=0.9, chunk_size=chunk_size)
    torch.manual_seed(0)
    images = torch.rand(30, *SHAPE, dtype=torch.float64)
    z, _ = explainer.encode(images)
    target = (explainer.posterior(images).argmax(1) + 1) % K
    agreement = Agreement(explainer, z, target, judge)
    cf = explainer.explain(images, target, undefined="keep")
    expected = (judge(cf.image_8bit).argmax(1) == target) & cf.defined
    assert torch.equal(agreement.seen(step), expected)
    assert torch.equal(agreement.defined, cf.defined)
    assert 0 < expected.sum() < len(expected)
    assert not cf.defined.all()


def test_the_smallest_offset_of_the_grid_that_reaches_the_share():
    tried = []

    def share(offset):
        tried.append(offset)
        return min(offset / 2, 1.0)

    found = fit_offset(share, 0.8, 0.6)
    assert (found.offset, found.share, found.reached) == (1.2, 0.6, True)
    assert tried == [0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2], "one after the other"
    assert fit_offset(share, 1.5, 0.6).offset == 1.5, "never below the configured one"


def test_the_smallest_of_the_best_where_none_reaches_it():
    found = fit_offset(lambda offset: 0.7 if 1.1 <= offset <= 1.3 else 0.5, 0.8, 0.9)
    assert (found.offset, found.share, found.reached) == (1.1, 0.7, False)
    assert fit_offset(lambda offset: 0.0, 0.8, 0.9).offset == 0.8


def test_the_grid():
    grid = offsets_from(0.8)
    assert len(grid) == 25
    assert grid[-1] == 2.0
    assert offsets_from(1.97) == [1.97]
    assert offsets_from(3) == [3]
