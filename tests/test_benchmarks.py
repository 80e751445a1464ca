import json
import os

import numpy as np
import pytest
import torch
from tables import check_tables

from benchmarks import ceilings, explaining, peers, resources, soak
from benchmarks.__main__ import main
from benchmarks.explaining import one_by_one, usable_network
from lightning_ecinn import Explainer
from lightning_ecinn.models.preprocessing import round_to_8_bits

TINY = {"blocks": (1, 1), "widths": (4, 4), "fc_width": 8}


@pytest.fixture(scope="module")
def classifier():
    return usable_network((1, 8, 8), **TINY).double().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("benchmark", [ceilings, explaining, peers])
def test_rows_fit_columns_and_numbers_are_finite(benchmark):
    check_tables(benchmark.run(quick=True))


def test_main_writes_the_named_benchmark(tmp_path, capsys):
    main(["ceilings", "--quick", "--out", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"ceilings.md", "ceilings.json"}
    tables = json.loads((tmp_path / "ceilings.json").read_text())["tables"]
    assert [table["title"] for table in tables] == ["Arithmetic", "A large copy"]
    assert "ceilings" in capsys.readouterr().err


def test_main_refuses_an_unknown_name(capsys):
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "no benchmark 'speed': choose from ceilings, explaining" in capsys.readouterr().err


def test_flops_of_a_hand_worked_network():
    convolution = torch.nn.Conv2d(2, 3, 3, padding=1)
    x = torch.rand(5, 2, 4, 4)
    assert ceilings.flops(lambda: convolution(x)) == 2 * 5 * 4 * 4 * 9 * 2 * 3


def test_the_usable_network_can_explain_every_pair(classifier):
    pairs = Explainer(classifier).explainable_pairs()
    assert pairs.sum() == 10 * 9
    assert not pairs.diagonal().any()


def test_the_loop_makes_the_counterfactuals_of_the_explainer(classifier, images):
    explainer = Explainer(classifier)
    targets = explaining._other_classes(explainer, images)
    steps = explainer.explain_steps(images, targets)
    expected = torch.stack([step.image for step in steps], dim=2).flatten(0, 2)
    torch.testing.assert_close(one_by_one(classifier, images, targets), expected)
    only_convincing = one_by_one(classifier, images, targets, tipping=False)
    torch.testing.assert_close(only_convincing, steps[1].image.flatten(0, 1))


def test_passes_are_counted_by_pictures(classifier, images):
    explainer = Explainer(classifier)
    target = explaining._other_classes(explainer, images)[:, 0]
    explainer.explain(images, target)  # the first call checks the precision
    with peers.counted() as passes:
        explainer.explain(images, target)
    assert passes == {"forwards": 3, "inverses": 3}
    with peers.counted() as passes:
        z, _ = classifier.encode(images.clone().requires_grad_())
        z.sum().backward()
    assert passes == {"forwards": 3, "gradients": 3}


def test_a_search_ends_at_the_target_and_a_longer_one_closer(images):
    # A linear classifier, for which the search is a convex problem.
    classifier = usable_network((1, 8, 8), blocks=(0,), widths=(4,), dropouts=(0,), fc_blocks=0)
    classifier = classifier.double().requires_grad_(False)
    image = round_to_8_bits(images[:1])
    target = (classifier.posterior(image).argmax(1) + 1) % 10
    first, closest = (
        peers.search(classifier, image, target, first=first) for first in (True, False)
    )
    for found in (first, closest):
        torch.testing.assert_close(round_to_8_bits(found), found)
        assert classifier.posterior(found).argmax(1) == target
    assert (closest - image).abs().sum() <= (first - image).abs().sum()


def test_a_soak_leaves_its_table_its_curve_and_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = {name: os.environ.get(name) for name in ("TMPDIR", "WANDB_MODE")}
    soak.main(["--quick", "--out", str(tmp_path / "out")])
    kinds = {path.name for path in (tmp_path / "out").iterdir()}
    assert kinds == {"soak.md", "soak.json", "soak.png", "soak.csv"}
    (table,) = json.loads((tmp_path / "out" / "soak.json").read_text())["tables"]
    assert len(table["rows"]) == 2
    assert (tmp_path / "out" / "soak.csv").read_text().count("\n") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {name: os.environ.get(name) for name in before} == before
    assert "## 2 rounds in" in capsys.readouterr().out


def made_up(files, rss):
    hours = [k / 60 for k in range(60)]
    return [resources.Held(hours[k], rss[k], files[k], 3, 0, 600, 500.0, 0.0) for k in range(60)]


def test_a_soak_says_what_grows():
    noise = 3 * np.random.default_rng(0).standard_normal(60)
    flat, grows = 1000 + noise, 1000 + noise + 2 * np.arange(60)
    (table,) = soak._tables(made_up([9] * 60, flat))
    assert table.title.endswith("nothing grows")
    assert len(table.rows) == soak.SHOWN
    (table,) = soak._tables(made_up(range(60), grows))
    assert table.title.endswith("memory and files changed")


def test_the_interval_of_a_slope_holds_the_true_one():
    x = np.linspace(0, 1, 60)
    inside = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).standard_normal(61)
        found = resources.slope(x, 5 * x + noise[1:] + noise[:-1])  # neighbours alike
        inside += found.low <= 5 <= found.high
    assert inside >= 32  # blocks of eight are few: about nine in ten, not nineteen in twenty
