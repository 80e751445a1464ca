"""The search along lines, where the boundary is known."""

import pytest
import torch

from lightning_ecinn.blackbox.line_search import MOST_ATTEMPTS, first_passing_step

BOUNDARIES = torch.tensor([0.02, 0.1, 0.437, 1.5, 1.51, 2.99, 3.01, torch.inf])


def search(boundaries):
    calls = []

    def attempt(alpha, index):
        calls.append(len(index))
        pictures = alpha.view(-1, 1, 1, 1)
        return pictures, alpha.double().unsqueeze(1), alpha >= boundaries[index]

    return first_passing_step(attempt, torch.zeros(len(boundaries), 1, 1, 1), 1), calls


def test_it_finds_each_boundary_from_above_within_the_tolerance():
    found, _ = search(BOUNDARIES)
    assert found.passed.tolist() == [True] * 6 + [False] * 2
    over = (found.alpha - BOUNDARIES)[:6]
    tolerance = torch.tensor([0.1] * 4 + [0.25] * 2) / 32
    assert (over >= 0).all()
    assert (over <= tolerance + 1e-6).all()
    assert found.alpha[6:].tolist() == [0, 0]


def test_it_keeps_what_was_made_at_the_step_and_counts_attempts():
    found, calls = search(BOUNDARIES)
    torch.testing.assert_close(found.pictures.flatten(), found.alpha)
    torch.testing.assert_close(found.probabilities.flatten(), found.alpha.double())
    assert found.attempts[0] == 1 + 5
    assert found.attempts[2] == 5 + 5
    assert found.attempts.max() == MOST_ATTEMPTS - 5 + 5
    assert sum(calls) == found.attempts.sum()


@pytest.mark.parametrize("boundary", [0.0, torch.inf])
def test_all_lines_may_pass_at_once_or_never(boundary):
    found, _ = search(torch.full((3,), boundary))
    assert found.passed.tolist() == [boundary == 0] * 3
