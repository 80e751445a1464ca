"""What survives, by hand: perfect, lost, and never a NaN that is not counted."""

import math

import numpy as np
import pytest
import torch

from lightning_ecinn.evaluation import (
    PROPERTIES,
    by_direction,
    comparison_table,
    counted,
    estimates,
    measures_of,
    pair_survival,
    properties_of,
    survival_estimates,
    survival_tables,
    survival_values,
    surviving,
)
from lightning_ecinn.evaluation.survival import _of_the_target

K, N = 3, 240


def table(k=K, n=N):
    """Each image to one other class; the counterfactuals keep the order of all but their ink."""
    rng = np.random.default_rng(0)
    index, label = np.arange(n) + 5, np.arange(n) % k
    target = (label + 1 + np.arange(n) // k % (k - 1)) % k
    rows = {
        "step": np.full(n, "convincing"), "index": index, "label": label, "source": label,
        "target": target, "already": np.zeros(n, bool), "defined": np.ones(n, bool),
    }  # fmt: skip
    for one in PROPERTIES:
        before = rng.normal(size=n) + 5 * label
        after = rng.normal(size=n) if one.key == "ink" else before - 5 * label
        rows |= {f"{one.key}_before": before, f"{one.key}_after": np.exp(after) + 9 * target}
    return rows


def found(rows, alphas=("convincing",)):
    return {(s.alpha, s.key): s for s in surviving(rows, alphas, samples=50)}


def test_what_keeps_its_order_survives_and_a_random_image_knows_nothing():
    every = found(table())
    assert [key for _, key in every] == [one.key for one in PROPERTIES]
    for (_, key), one in every.items():
        assert one.counterfactual.count == one.random.count == N
        assert one.counterfactual.left_out == one.random.left_out == 0
        assert abs(one.random.value) < 0.2
        assert one.random.low < one.random.value < one.random.high
        if key == "ink":
            assert abs(one.counterfactual.value) < 0.2
        else:
            assert one.counterfactual.value == pytest.approx(1)


def test_what_is_no_number_is_left_out_and_counted():
    rows = table()
    rows["slant_before"][:3] = math.nan
    rows["slant_after"][2:5] = math.nan
    rows["defined"][5] = False
    one = found(rows)["convincing", "slant"]
    assert one.counterfactual.count == N - 6
    assert one.counterfactual.left_out == 5
    rows["slant_after"][:] = math.nan
    lost = found(rows)["convincing", "slant"]
    assert math.isnan(lost.counterfactual.value)
    assert (lost.counterfactual.count, lost.counterfactual.left_out) == (0, N - 1)
    names = {estimate.measure for estimate in survival_estimates([lost])}
    assert names == {"survival_slant_of_random"}
    assert survival_tables([lost])[0][1][1] == "–"
    assert survival_values([lost])["convincing"]["slant"]["counterfactual"]["low"] is None


def test_a_pair_of_one_image_has_no_order():
    rows = {name: column[:4] for name, column in table().items()}
    one = found(rows)["convincing", "height"]
    assert (one.counterfactual.count, one.counterfactual.left_out) == (0, 4)


def test_the_random_image_has_the_target_as_its_label_and_is_another():
    rows = table()
    rows = {name: np.concatenate((column, column)) for name, column in rows.items()}
    rows["step"][N:] = "star"
    rows["target"][0] = rows["target"][N] = rows["label"][0]  # classified as another class
    drawn = _of_the_target(rows, seed=0)
    assert (rows["label"][drawn] == rows["target"]).all()
    assert (rows["index"][drawn] != rows["index"]).all()
    assert (drawn[:N] == drawn[N:]).all(), "the same at each step"
    assert len(np.unique(drawn)) > N / 3
    alone = {name: column[:1] for name, column in rows.items()}
    assert _of_the_target(alone, seed=0).tolist() == [-1]


def test_each_pair_has_its_number_if_it_has_enough_images():
    rows = table()
    matrix = pair_survival(rows, "width", "convincing", K)
    for p in range(K):
        for q in range(K):
            assert matrix[p][q] is None if p == q else matrix[p][q] == pytest.approx(1)
    few = {name: column[:30] for name, column in rows.items()}
    assert not any(number for row in pair_survival(few, "width", "convincing", K) for number in row)


def test_without_the_columns_nothing_survives_or_is_lost():
    rows = {name: column for name, column in table().items() if "_" not in name}
    assert surviving(rows, ["convincing"]) == []


def test_properties_are_of_each_picture():
    pictures = torch.zeros(2, 1, 12, 12)
    pictures[0, :, 2:10, 4:7] = 1
    measured = properties_of(pictures)
    assert list(measured) == [one.key for one in PROPERTIES]
    assert measured["thickness"][0].item() == pytest.approx(3)
    assert all(column.isnan().tolist() == [False, True] for column in measured.values())


def test_two_classes_have_two_directions():
    rows = table(k=2) | {"l1": np.arange(N) % 2 + 0.5, "features": np.ones((N, 4))}
    rows |= {
        "seconds": np.ones(N),
        "log_prob_after": np.zeros(N),
        "input_features": np.ones((N, 4)),
    }
    parts = by_direction(rows, ["convincing"], ["closed", "open"], samples=5)
    assert list(parts) == ["closed → open", "open → closed"]
    for (name, one), value in zip(parts.items(), (0.5, 1.5), strict=True):
        means = {estimate.measure: estimate.value for estimate in one.estimates}
        assert means["l1"] == value
        assert "fid" not in means
        assert one.counts[0].exist == N / 2
        assert comparison_table(one.estimates, one.counts, title=name)[0] == [name, "convincing"]
    assert by_direction(rows, ["convincing"], ["a", "b", "c"]) == {}


def test_measures_of_other_labels_follow_the_others():
    rows = table()
    rows |= {
        "seconds": np.ones(N),
        "log_prob_after": np.zeros(N),
        "answer_kept_of_{lip}": np.arange(N) % 4 > 0,
    }
    titles = {m.key: m.title for m in measures_of(rows)}
    assert titles["answer_kept_of_{lip}"] == "answer about {lip} unchanged, %"
    averages = estimates(rows, ["convincing"], samples=5)
    assert averages[-1].value == 0.75
    lines = comparison_table(averages, counted(rows, ["convincing"]), intervals=False)
    assert lines[-1][0] == "answer about {lip} unchanged, %"
