"""Whatever is compared and evaluated: a finite answer, or a ValueError of one sentence."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from properties import one_sentence

from lightning_ecinn.comparison import explain_by
from lightning_ecinn.evaluation import check_alphas, choose_targets

JUNK = st.one_of(st.none(), st.booleans(), st.complex_numbers(), st.floats(), st.text(max_size=9))


@given(st.one_of(JUNK, st.lists(JUNK, max_size=3)))
def test_alphas(alphas):
    try:
        found = check_alphas(alphas)
    except ValueError as error:
        one_sentence(error)
    else:
        assert found
        assert all(isinstance(one, str) or 0 <= one < math.inf for one in found)


@given(
    st.sampled_from(["random", "all", None, 3]),
    st.integers(0, 4),
    st.one_of(st.none(), st.integers(-2, 9)),
)
def test_targets(targets, num_classes, count):
    labels = np.arange(6) % max(num_classes, 1)
    try:
        pairs = choose_targets(targets, labels, num_classes, count=count)
    except ValueError as error:
        one_sentence(error)
    else:
        assert ((pairs.target >= 0) & (pairs.target < num_classes)).all()
        if targets == "random":
            assert (pairs.target != labels[pairs.index]).all()


@pytest.mark.parametrize(
    ("images", "target"),
    [
        (torch.full((2, 1, 4, 4), 200.0), None),
        (torch.full((2, 1, 4, 4), torch.nan), None),
        (torch.rand(1, 4, 4), None),
        (torch.rand(2, 3, 4, 4), None),
        (torch.rand(2, 1, 4, 4), "bee"),
        (torch.rand(2, 1, 4, 4), 3),
    ],
)
def test_explain_by(images, target):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    network.image_shape = (1, 4, 4)
    with pytest.raises(ValueError, match=r"\.$") as caught:
        explain_by(network, images, ["saliency"], target=target)
    one_sentence(caught.value)
