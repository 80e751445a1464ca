"""Which counterfactuals are shown, by hand."""

import math

import numpy as np

from lightning_ecinn.evaluation import examples, most_and_least


def table():
    """Six counterfactuals of a step, one of them of an image that is there twice; three others."""
    return {
        "step": np.array(["convincing"] * 8 + ["star"]),
        "index": np.array([4, 3, 3, 0, 1, 2, 5, 6, 7]),
        "already": np.array([False] * 6 + [True, False, False]),
        "defined": np.array([True] * 7 + [False, True]),
        "validity": np.array([True, False, True, True, False, False, True, False, False]),
        "target_posterior": np.array([0.9, 0.4, 0.8, 0.7, 0.1, 0.2, 1, 0, 0]),
        "log_prob_after": np.array([5.0, 7, 6, 1, 2, math.nan, 99, 99, 99]),
    }


def test_the_most_and_the_least_plausible_have_none_in_common():
    most, least = most_and_least(table(), "convincing", 2)
    assert most.tolist() == [1, 2]
    assert least.tolist() == [3, 4]
    most, least = most_and_least(table(), "convincing", 8)
    assert most.tolist() == [1, 2, 0]
    assert least.tolist() == [3, 4]


def test_best_worst_and_failed_show_an_image_once_each():
    found = {kind: rows.tolist() for kind, rows in examples(table(), "convincing", 8).items()}
    assert found == {"best": [1, 0], "worst": [3, 4], "failed": [4, 1]}
    assert examples(table(), "convincing", 1)["failed"].tolist() == [4]
    assert list(examples(table(), "star", 8)) == ["best", "failed"]
    assert not examples(table(), "tipping", 8)
