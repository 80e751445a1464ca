"""Which counterfactuals and real images stand beside each other to be told apart."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lightning_ecinn.commands.evaluation_realism import measure_realism
from lightning_ecinn.evaluation import (
    Pairs,
    choose_realism_sample,
    choose_targets,
    realism,
    realism_pictures,
)
from lightning_ecinn.evaluation.realism import MOST, ROOM

SHAPE = (1, 8, 8)
SETTINGS = {"repeats": 1, "seed": 0}


@pytest.fixture(autouse=True)
def in_a_moment(monkeypatch):
    """Grey levels are soon learned."""
    monkeypatch.setattr("lightning_ecinn.metrics.two_sample_training._STEPS", 30)


def columns(sample):
    return vars(sample).values()


def rows_of(pairs, step="star", **more):
    """Rows of counterfactuals that all exist and whose picture is their target's grey level."""
    count = len(pairs)
    grey = np.full((count, *SHAPE), 40 * pairs.target[:, None, None, None] + 100, np.uint8)
    return {
        "index": pairs.index,
        "source": (pairs.target + 1) % 3,
        "target": pairs.target,
        "step": np.full(count, step),
        "defined": np.ones(count, bool),
        "already": np.zeros(count, bool),
        "l1": np.ones(count),
        "picture": grey,
        **more,
    }


@pytest.mark.parametrize("targets", ["random", "all"])
def test_classes_match(targets):
    labels = np.random.default_rng(0).choice(3, 300, p=[0.6, 0.3, 0.1])
    pairs = choose_targets(targets, labels, 3)
    sample = choose_realism_sample(pairs, labels, 3, SHAPE, seed=4)
    assert (labels[sample.real] == sample.label).all()
    asked = list(zip(sample.index, sample.target, strict=True))
    assert len(set(asked)) == len(asked)
    assert set(asked) <= set(zip(pairs.index, pairs.target, strict=True))
    assert len(np.unique(sample.real)) == len(sample.real)
    for q in range(3):
        there = (sample.target == q).sum()
        assert there == (sample.label == q).sum()
        assert there == min((labels == q).sum(), (pairs.target == q).sum())
    # Of "all" those that ask for the label come last: most are it already.
    own = labels[sample.index] == sample.target
    possible = sum(min((labels == q).sum(), (labels != q).sum()) for q in range(3))
    assert own.sum() == len(own) - (possible if targets == "all" else len(own))
    again = choose_realism_sample(pairs, labels, 3, SHAPE, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(*map(columns, (sample, again)), strict=True))
    other = choose_realism_sample(pairs, labels, 3, SHAPE, seed=5)
    assert not np.array_equal(sample.real, other.real)


def test_there_is_a_limit():
    labels = np.arange(3 * MOST) % 2
    pairs = Pairs(np.arange(3 * MOST), 1 - labels)
    sample = choose_realism_sample(pairs, labels, 2, SHAPE)
    assert len(sample.real) == len(sample.index) == MOST
    large = choose_realism_sample(pairs, labels, 2, (3, 256, 256))
    assert len(large.real) == len(large.index) == ROOM // (3 * 256 * 256) == 682
    none = choose_realism_sample(Pairs(np.arange(0), np.arange(0)), labels, 2, SHAPE)
    assert len(none.real) == len(none.index) == 0


def test_only_what_exists_is_kept():
    labels = np.arange(60) % 3
    pairs = choose_targets("random", labels, 3)
    sample = choose_realism_sample(pairs, labels, 3, SHAPE)
    rows = rows_of(pairs)
    rows["defined"][:5], rows["already"][5:9], rows["l1"][9] = False, True, np.nan
    kept = realism_pictures(rows, sample)
    assert set(kept["index"]) == set(sample.index) - set(range(10))
    assert all(len(column) == len(kept["index"]) for column in kept.values())
    more = realism_pictures(rows_of(pairs, index=pairs.index + 100), sample)
    assert len(more["index"]) == 0, "other images"


def test_pictures_of_another_class_than_the_images_beside_them_are_told_apart():
    labels = np.arange(120) % 3
    pairs = choose_targets("random", labels, 3)
    sample = choose_realism_sample(pairs, labels, 3, SHAPE)
    kept = realism_pictures(rows_of(pairs), sample)
    level = torch.from_numpy(40 * sample.label + 100).to(torch.uint8)
    real = level[:, None, None, None].expand(-1, *SHAPE)
    alike = realism(kept, sample, real, "star", **SETTINGS, samples=20)
    assert [one.measure for one in alike] == ["told_apart", "told_apart_auc"]
    assert all(one.count == len(kept["index"]) for one in alike)
    # Only classes tell them apart, and those are matched but for the halves' chance.
    assert all(abs(one.value - 0.5) < 0.2 for one in alike)
    brighter = realism(kept, sample, real - 90, "star", **SETTINGS, samples=20)
    assert all(one.value > 0.95 for one in brighter)
    assert realism(kept, sample, real, "tipping", **SETTINGS) == []
    to_2 = realism(kept, sample, real, "star", 2, **SETTINGS, samples=20)
    assert {one.count for one in to_2} == {int((kept["target"] == 2).sum())}


def fake_module(names, sample, real):
    return SimpleNamespace(
        realism_sample=sample,
        alphas=["star", 0.5],
        device=torch.device("cpu"),
        explainer=SimpleNamespace(class_names=names),
        data=SimpleNamespace(pictures=lambda index: real[: len(index)]),
    )


def test_two_classes_have_directions_and_few_pictures_a_note(tmp_path):
    labels = np.arange(90) % 2
    pairs = choose_targets("random", labels, 2)
    sample = choose_realism_sample(pairs, labels, 2, SHAPE)
    kept = realism_pictures(rows_of(pairs), sample)
    trainer = SimpleNamespace(progress_bar_callback=None, default_root_dir=str(tmp_path))
    module = fake_module(["closed", "open"], sample, torch.zeros(90, *SHAPE, dtype=torch.uint8))
    asked = {"repeats": 1, "bootstrap": 10, "seed": 0}
    found = measure_realism(trainer, module, kept, **asked)
    assert [one.alpha for one in found.estimates] == ["star", "star"]
    assert set(found.directions) == {"closed → open", "open → closed"}
    assert {one.count for one in found.directions["closed → open"]} == {45}
    assert "90 counterfactuals and as many real images" in found.notes[0]
    assert found.notes[1].startswith("Not told apart: 0.5, 0.5 (closed → open), 0.5 (open")
    module.realism_sample = None
    assert measure_realism(trainer, module, kept, **asked).estimates == []
