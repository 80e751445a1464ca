"""Angles between directions, near pairs, and which classes are meant."""

import pytest
import torch
from constructed import constructed

from lightning_ecinn.latent import direction_cosines, nearest_pairs
from lightning_ecinn.latent.directions import pair_of_classes

MEANS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0], [1.0, 2.0]])


def test_cosines_of_a_simplex():
    """Half for a shared end, minus half for end to start, 0 for nothing shared."""
    pairs = [(0, 1), (0, 2), (1, 2), (2, 3), (1, 0)]
    found = direction_cosines(6 * torch.eye(4, 9), pairs)
    expected = torch.tensor(
        [
            [1, 0.5, -0.5, 0, -1],
            [0.5, 1, 0.5, -0.5, -0.5],
            [-0.5, 0.5, 1, -0.5, 0.5],
            [0, -0.5, -0.5, 1, 0],
            [-1, -0.5, 0.5, 0, 1],
        ]
    )
    assert torch.allclose(found, expected.double(), rtol=0, atol=1e-15)
    assert torch.equal(found, found.T)


def test_cosines_of_any_means_are_symmetric_and_those_of_torch():
    means = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = [(0, 1), (3, 2), (4, 0)]
    found = direction_cosines(means, pairs)
    deltas = torch.stack([means[q] - means[p] for p, q in pairs])
    reference = torch.cosine_similarity(deltas[:, None], deltas[None], dim=-1)
    assert torch.allclose(found, reference, rtol=0, atol=1e-14)
    assert torch.allclose(found, found.T, rtol=0, atol=0)
    assert found.diagonal().tolist() == pytest.approx([1, 1, 1])


def test_equal_means_have_no_angle():
    found = direction_cosines(MEANS, [(0, 1), (2, 3)])
    assert found.isnan().tolist() == [[False, True], [True, True]]


def test_near_pairs_come_in_order_of_their_classes():
    assert nearest_pairs(MEANS, range(4), 2) == [(0, 1), (2, 3)]
    assert nearest_pairs(MEANS, [3, 1, 0], 9) == [(0, 1), (0, 3), (1, 3)]


def test_what_is_not_given_is_the_nearest():
    explainer = constructed(4, ["a", "b", "c", "d"])
    explainer.classifier.class_means[2, 1] += 3  # b and c become near
    assert pair_of_classes(explainer, None, None) == (1, 2)
    assert pair_of_classes(explainer, "c", None) == (2, 1)
    assert pair_of_classes(explainer, None, 2) == (1, 2)
    explainer.classifier.class_counts[1] = 0
    assert 1 not in pair_of_classes(explainer, None, None)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (7, None, "source must be a class from 0 to 2, got 7"),
        (0, "x", "target must be a class from 0 to 2 or its name: a, b, c; got 'x'"),
        (True, 0, "source must be one class, by number or name, got True"),
        (0, "a", "source and target are both a: give two classes"),
        (0, 2, "Class c has no mean: choose another class"),
    ],
)
def test_classes_that_are_none_are_refused(source, target, said):
    explainer = constructed(3, ["a", "b", "c"])
    explainer.classifier.class_counts[2] = 0
    with pytest.raises(ValueError, match=said):
        pair_of_classes(explainer, source, target)


def test_one_mean_is_not_enough():
    explainer = constructed(3)
    explainer.classifier.class_counts[1:] = 0
    with pytest.raises(ValueError, match="Only class 0 has a mean, and a direction needs two"):
        pair_of_classes(explainer, None, None)
