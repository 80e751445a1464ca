"""Averages by hand, and how they are written."""

import csv
import math
from io import StringIO

import numpy as np
import pytest
import torch

from lightning_ecinn.evaluation import (
    comparison_table,
    counted,
    estimates,
    joined,
    pair_means,
    reference_quantile,
    with_plausibility,
)
from lightning_ecinn.evaluation.summary import frechet_distance
from lightning_ecinn.figures import as_csv, as_markdown


def table():
    """Four pairs at two steps: one that already is the target, one without "star"."""
    n = 8
    return {
        "step": np.repeat(["star", "tipping"], 4),
        "index": np.tile([0, 1, 2, 3], 2),
        "source": np.tile([0, 0, 1, 2], 2),
        "target": np.tile([1, 1, 2, 2], 2),
        "already": np.tile([False, False, False, True], 2),
        "defined": np.array([True, False, True, True, True, True, True, True]),
        "validity": np.array([True, False, False, True, True, False, True, True]),
        "l1": np.array([3, 99, 5, 0, 1, 2, 6, 0], dtype=float),
        "heatmap_mass": np.array([0.5, 0, math.nan, 0, 0.1, 0.2, math.nan, 0]),
        "log_prob_before": np.tile([0.0, 10, 20, 100], 2).astype(np.float32),
        "log_prob_after": np.array([15.0, 0, 1, 2, 16, 12, -5, 14]),
        "seconds": np.arange(n) / 10,
    }


def test_averages_are_over_what_exists():
    found = {(e.alpha, e.measure): e for e in estimates(table(), ["tipping", "star"], samples=50)}
    assert found["tipping", "l1"].value == pytest.approx(3)
    assert found["tipping", "l1"].count == 3
    assert found["star", "l1"].value == pytest.approx(4)
    assert found["star", "l1"].count == 2
    assert found["tipping", "validity"].value == pytest.approx(2 / 3)
    assert found["star", "validity"].value == pytest.approx(1 / 2)
    assert found["tipping", "seconds"].value == pytest.approx(0.5)  # of 0.4, 0.5, 0.6
    assert found["tipping", "seconds"].low is None
    for estimate in found.values():
        if estimate.low is not None:
            assert estimate.low <= estimate.value <= estimate.high
    assert found["star", "l1"].low == 3
    assert found["star", "l1"].high == 5


def test_where_nothing_is_known_there_is_no_measure():
    found = {(e.alpha, e.measure): e for e in estimates(table(), ["tipping", "star"], samples=50)}
    assert found["tipping", "heatmap_mass"].value == pytest.approx(0.15)
    assert found["tipping", "heatmap_mass"].count == 2
    assert found["star", "heatmap_mass"].count == 1
    assert ("star", "im1") not in found
    nothing = table()
    nothing["defined"][:4] = False
    assert {e.alpha for e in estimates(nothing, ["tipping", "star"], samples=50)} == {"tipping"}


def test_every_pair_is_counted_once():
    star, tipping = counted(table(), ["star", "tipping"])
    assert (star.asked, star.already, star.undefined, star.exist) == (4, 1, 1, 2)
    assert (tipping.asked, tipping.already, tipping.undefined, tipping.exist) == (4, 1, 0, 3)


def test_plausible_is_above_the_quantile_of_the_images():
    rows = table()
    reference = reference_quantile(rows)
    assert reference == pytest.approx(1.5)  # of 0, 10, 20, 100 at 5 %
    plausible = with_plausibility(rows, reference)["plausible"]
    assert plausible.tolist() == [True, False, False, True, True, True, False, True]


def test_a_number_for_each_pair_of_classes():
    means = pair_means(table(), "validity", "tipping", 3)
    expected = torch.full((3, 3), torch.nan, dtype=torch.float64)
    expected[0, 1], expected[1, 2] = 0.5, 1
    assert torch.equal(means.isnan(), expected.isnan())
    assert torch.equal(means.nan_to_num(), expected.nan_to_num())


def test_rows_are_joined_in_order_and_none_twice():
    rows = table()
    parts = [{k: v[i::3] for k, v in rows.items()} for i in (2, 0, 1)]
    whole = joined([*parts, parts[0]])
    assert len(whole["index"]) == 8
    keys = list(zip(whole["index"], whole["target"], whole["step"], strict=True))
    assert keys == sorted(keys)
    assert sorted(whole["seconds"]) == sorted(rows["seconds"])
    assert joined([]) == {}


def test_frechet_distance_by_hand():
    """Of diagonal covariances: |m - m'|^2 + sum of (s - s')^2; each image counts once."""
    a = np.array([[0.0, 0], [2, 0], [0, 4], [2, 4]])  # means 1, 2; variances 4/3, 16/3
    b = a * [2, 1] + [1, 0]  # means 3, 2; variances 16/3, 16/3
    rows = {
        "index": np.array([0, 1, 2, 3, 3]),
        "input_features": np.concatenate((a, a[3:])).astype(np.float32),
        "features": np.concatenate((b, [[1e6, 1e6]])).astype(np.float32),
    }
    chosen = np.array([True, True, True, True, False])
    distance = frechet_distance(rows, chosen)
    assert distance == pytest.approx(4 + 4 / 3, rel=1e-5)
    assert frechet_distance(rows, chosen & (rows["index"] == 0)) is None
    assert frechet_distance({"index": rows["index"]}, chosen) is None


def test_the_table_for_people():
    rows = table()
    steps = ["tipping", "star"]
    lines = comparison_table(estimates(rows, steps, samples=50), counted(rows, steps))
    assert lines[0] == ["", "tipping", "star"]
    assert lines[1] == ["counterfactuals", "3", "2"]
    assert lines[2] == ["already the target", "1", "1"]
    assert lines[3] == ["without such a step", "0", "1"]
    cells = {line[0]: line[1:] for line in lines}
    assert cells["validity, %"][0].startswith("66.67 [")
    assert cells["L1"][1] == "4.00 [3.00, 5.00]"
    assert cells["time (median), ms"] == ["500.00", "100.00"]
    plain = comparison_table(
        estimates(rows, steps, samples=5), counted(rows, steps), intervals=False
    )
    assert ["L1", "3.00", "4.00"] in plain


def test_markdown_and_csv():
    text = as_markdown([["", "a"], ["|x|", "1"]])
    assert text.splitlines() == ["|  | a |", "| :-- | --: |", "| \\|x\\| | 1 |"]
    written = as_csv(["a", "b", "c"], [[True, 0.1, "x, y"], [None, math.nan, 2]])
    assert list(csv.reader(StringIO(written))) == [
        ["a", "b", "c"], ["1", "0.1", "x, y"], ["", "", "2"],
    ]  # fmt: skip
