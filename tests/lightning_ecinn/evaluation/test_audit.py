"""The audit: mean changes, how alike they are, and how much a factor is used."""

import math

import torch

from lightning_ecinn.evaluation import factor_use, mean_changes


def draw(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, 3, 3), generator=generator, dtype=torch.uint8)


def test_consistency_is_the_mean_cosine_of_two_different_changes():
    images, pictures = draw(7), draw(7, seed=1)
    zero, one = torch.zeros(7, dtype=torch.long), torch.ones(7, dtype=torch.long)
    (found,) = mean_changes(images, pictures, zero, one)
    d = ((pictures.double() - images.double()) / 255).flatten(1)
    cosines = torch.cosine_similarity(d[:, None], d[None], dim=2)
    expected = (cosines.sum() - 7) / 42
    assert math.isclose(found.consistency, expected.item(), rel_tol=1e-12)
    torch.testing.assert_close(found.change.flatten(), d.mean(0))
    assert math.isclose(found.l1, d.abs().sum(1).mean().item())


def test_the_same_change_is_consistent_and_opposite_ones_are_not():
    images = torch.full((4, 1, 2, 2), 100, dtype=torch.uint8)
    same, opposite = images.clone(), images.clone()
    same[:, :, 0] = 150
    opposite[:2, :, 0], opposite[2:, :, 0] = 150, 50
    p, q = torch.zeros(4, dtype=torch.long), torch.ones(4, dtype=torch.long)
    assert math.isclose(mean_changes(images, same, p, q)[0].consistency, 1)
    found = mean_changes(images, opposite, p, q)[0]
    assert math.isclose(found.consistency, -1 / 3)  # 2 of 6 pairs agree
    assert found.change.abs().max() == 0


def test_pairs_are_apart_the_most_frequent_first_and_single_ones_have_no_consistency():
    images, pictures = draw(3), draw(3, seed=1)
    found = mean_changes(images, pictures, torch.tensor([2, 0, 0]), torch.tensor([0, 1, 1]))
    assert [(one.source, one.target, one.count) for one in found] == [(0, 1, 2), (2, 0, 1)]
    assert math.isnan(found[1].consistency)
    unchanged = mean_changes(images, images, torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1]))
    assert math.isnan(unchanged[0].consistency)


def test_use_of_a_factor_in_answers_and_in_pixels():
    changes = torch.zeros(2, 3, 2, 2)
    changes[0, :, 0, 0], changes[0, 1, 1, 1] = 0.5, -1.5
    changes[1, 0, 0, 1] = 1
    pixels = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    pixels[:, :, 0, 0] = True
    use = factor_use(torch.tensor([0, 1, 1, 0]), torch.tensor([1, 1, 1, 1]), changes, pixels)
    assert (use.answers, use.area, use.asked, use.explained) == (0.5, 0.25, 4, 2)
    assert math.isclose(use.share, (3 * 0.25 / (3 * 0.25 + 1.5**2) + 0) / 2)
