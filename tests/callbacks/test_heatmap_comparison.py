"""Figure 9 after fitting and testing: flows and ordinary networks, numbers, other models."""

import json

import pytest
import torch
from bars import PlainBars, bars, network, trainer

from lightning_ecinn import Explainer
from lightning_ecinn.attribution import Heatmap
from lightning_ecinn.callbacks import (
    BuildClassMeans,
    HeatmapComparison,
    MetricsJSON,
    heatmap_comparison as module_under_test,
)
from lightning_ecinn.comparison import (
    Explained,
    HeatmapCorrelations,
    HeatmapNumbers,
    explain_by,
)
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.figures import heatmap_table
from lightning_ecinn.training import SmallCNN

METHODS = ["ecinnh", "integrated_gradients", "deep_lift_shap"]


class TrueBars(InMemoryDataModule):
    """The bars, with the pixels that tell two of them apart."""

    def __init__(self):
        super().__init__((1, 8, 8), ["top", "middle", "below"], val_size=6, batch_size=8)

    def load(self, train):
        return bars(60 if train else 30, seed=0 if train else 1)

    def changed_pixels(self, split, indices, source, target):
        assert split == "test"
        assert torch.equal(self.dataset(split).labels[indices], source), "others' indices"
        rows = torch.arange(8)
        return (
            sum(
                (rows >= 1 + 2 * k[:, None]) & (rows < 3 + 2 * k[:, None]) for k in (source, target)
            )
            .bool()[:, None, :, None]
            .expand(-1, 1, 8, 8)
        )


def cnn():
    return SmallCNN((1, 8, 8), 3, ["top", "middle", "below"], widths=[4, 4], lr=0.02)


@pytest.fixture
def tables(monkeypatch):
    """The rows of every table that is drawn."""
    seen = []

    def recorded(rows, methods, **labels):
        seen.append((rows, methods))
        return heatmap_table(rows, methods, **labels)

    monkeypatch.setattr(module_under_test, "heatmap_table", recorded)
    return seen


def drawing(**settings):
    return HeatmapComparison(**{"methods": METHODS, "count": 2, "measure": 10, **settings})


def pictures(folder):
    return sorted(path.stem for path in (folder / "pictures").glob("*.png"))


def test_a_tested_flow(trained, tmp_path, tables):
    notes = MetricsJSON()
    there = trainer(tmp_path, notes, drawing())
    there.test(trained, datamodule=TrueBars(), verbose=False)
    assert pictures(tmp_path) == ["heatmaps"]
    ((rows, methods),) = tables
    assert methods == ["ECINNh", "Integrated Gradients", "DeepLiftSHAP"]
    assert len(rows) == 2
    for row in rows:
        source, target = row.label.split(" → ")
        assert source != target
        assert row.counterfactual is not None
        torch.testing.assert_close(row.heatmaps[0], row.counterfactual - row.image)
        assert row.gaps[0] is None
        assert row.gaps[1] >= 0
    latest = json.loads((tmp_path / "metrics.json").read_text())["latest"]
    assert {"heatmaps/ecinnh/mass", "heatmaps/deep_lift_shap/incomplete"} <= set(latest)
    assert "heatmaps/ecinnh/completeness_gap" not in latest
    assert 12 / 64 < latest["heatmaps/ecinnh/mass"] <= 1
    assert 0 <= latest["heatmaps/integrated_gradients/incomplete"] <= 1


def test_fit_draws_once_and_test_after_it_not_again(tmp_path):
    fitting = trainer(tmp_path, BuildClassMeans(), drawing(methods=METHODS[:2]), max_epochs=2)
    module, data = network(), PlainBars(60)
    fitting.fit(module, datamodule=data)
    assert pictures(tmp_path) == ["heatmaps"]
    fitting.test(module, datamodule=data, verbose=False)
    assert pictures(tmp_path) == ["heatmaps"]
    fitting.test(module, datamodule=data, verbose=False)  # asked for by itself: drawn
    assert pictures(tmp_path) == ["heatmaps", "heatmaps-2"]


def test_a_network_has_no_counterfactuals_and_a_flow_can_stand_below(trained, tmp_path, tables):
    flow = tmp_path / "flow.ckpt"
    saving = trainer(tmp_path)
    saving.strategy.connect(trained)
    saving.save_checkpoint(flow)
    there = trainer(tmp_path, drawing(beside=[str(flow)], target=1, measure=1), max_epochs=8)
    there.fit(cnn(), datamodule=PlainBars(120))
    ((rows, _),) = tables
    own, other = rows[:2], rows[2:]
    assert [row.counterfactual is None for row in rows] == [True, True, False, False]
    assert all(row.heatmaps[0] is None and row.heatmaps[2] is not None for row in own)
    assert all(row.label.startswith("flow\n") for row in other)
    assert all(row.label.endswith("→ middle") for row in own)
    for a, b in zip(own, other, strict=True):
        torch.testing.assert_close(a.image, b.image)


ABOVE = """
import torch
def above(x):
    return 9 * torch.stack((x[:, :, :4].mean((1, 2, 3)), x[:, :, 4:].mean((1, 2, 3))), 1)
"""


def test_a_classifier_of_somebodys_stands_below_with_its_own_ecinnh(trained, tmp_path, tables):
    (tmp_path / "mine.py").write_text(ABOVE)
    given = {"classifier": f"{tmp_path / 'mine.py'}:above", "classifier_classes": ["up", "down"]}
    with pytest.warns(UserWarning, match="no DeepLiftSHAP: DeepLift's rules need"):
        trainer(tmp_path, drawing(**given)).test(trained, datamodule=PlainBars(), verbose=False)
    ((rows, _),) = tables
    own, asked = rows[:2], rows[2:]
    for a, b in zip(own, asked, strict=True):
        torch.testing.assert_close(a.image, b.image)
        assert b.label.split("\n")[1] in ("up", "down")
        assert b.heatmaps[1] is not None
        assert b.heatmaps[2] is None
        if b.counterfactual is not None:
            torch.testing.assert_close(b.heatmaps[0], b.counterfactual - b.image)
    assert any(row.counterfactual is not None for row in asked)


def test_without_means_the_other_methods_are_drawn(tmp_path, tables):
    there = trainer(tmp_path, drawing())
    with pytest.warns(UserWarning, match="No class means: heatmaps has no counterfactuals"):
        there.test(network(), datamodule=PlainBars(), verbose=False)
    ((rows, _),) = tables
    assert rows[0].heatmaps[0] is None
    assert rows[0].heatmaps[1] is not None


def test_mistakes_are_said_before_training(tmp_path, trained):
    for settings, message in (
        ({"source": 7}, "source must be a class from 0 to 2, got 7"),
        ({"source": 1, "target": 1}, "both 1"),
    ):
        with pytest.raises(ValueError, match=message):
            trainer(tmp_path, drawing(**settings)).fit(network(), datamodule=PlainBars())
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx does not exist"):
        drawing(classifier="nowhere.onnx")
    (tmp_path / "there.onnx").touch()
    there = trainer(tmp_path, drawing(classifier=str(tmp_path / "there.onnx")))
    with pytest.raises(
        ValueError, match="explained through the flow that is trained, and SmallCNN"
    ):
        there.fit(cnn(), datamodule=PlainBars())
    there = trainer(tmp_path, drawing(beside=["nowhere.ckpt"]))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.ckpt"):
        there.fit(network(), datamodule=PlainBars())
    with pytest.raises(ValueError, match="there is no method 'lime'; give some of ecinnh"):
        drawing(methods=["lime"])
    with pytest.raises(ValueError, match="count is 0; give 1 or more"):
        drawing(count=0)


def test_no_images_no_picture(tmp_path, trained):
    data = PlainBars()
    images, labels = data.test.tensors
    data.test.tensors = (images[labels != 1], labels[labels != 1])
    with pytest.warns(UserWarning, match="no image of class middle is classified correctly"):
        trainer(tmp_path, drawing(source=1)).test(trained, datamodule=data, verbose=False)
    assert not (tmp_path / "pictures").exists()


def saying(values, source, target, names=("no", "yes"), method="saliency"):
    """A model that has these heatmaps (B, C, H, W)."""
    num = len(values)
    return Explained(
        name="",
        class_names=names,
        images=torch.zeros_like(values),
        source=torch.as_tensor(source).expand(num),
        target=torch.as_tensor(target).expand(num),
        counterfactual=None,
        target_posterior=None,
        defined=torch.zeros(num, dtype=torch.bool),
        heatmaps={method: Heatmap(values, method, torch.linspace(0, 0.4, num))},
    )


def correlation(*models):
    correlations = HeatmapCorrelations(len(models), ["saliency"])
    correlations.update(models)
    return correlations.compute()["saliency"], correlations.counts["saliency"].tolist()


def test_two_classes_are_compared_towards_the_higher_one():
    h = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    a = saying(h, 0, 1)
    matrix, counts = correlation(a, saying(h, 1, 0), saying(-3 * h, 1, 0))
    expected = [[1, -1, 1], [-1, 1, -1], [1, -1, 1]]
    torch.testing.assert_close(torch.tensor(matrix), torch.tensor(expected).float())
    assert counts == [[4] * 3] * 3


def test_more_classes_are_compared_where_the_question_is_the_same():
    h = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    a = saying(h, 0, torch.tensor([1, 1, 2, 2]), "abc")
    b = saying(h.roll(0), 0, torch.tensor([1, 2, 2, 1]), "abc")
    matrix, counts = correlation(a, b, saying(h, 1, 0, "abc"))
    assert counts == [[4, 2, 0], [2, 4, 0], [0, 0, 4]]
    assert matrix[0][2] is None
    assert matrix[0][1] == pytest.approx(1)


def test_different_sizes_meet_at_the_smaller():
    small = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    matrix, _ = correlation(saying(small, 0, 1), saying(large, 0, 1))
    assert 0.7 < matrix[0][1] <= 1


def test_numbers_are_medians_and_shares():
    numbers = HeatmapNumbers(["saliency"])
    values = torch.ones(5, 1, 2, 2)
    mask = torch.tensor([[True, False], [False, False]]).expand(5, 1, 2, 2)
    numbers.update(saying(values, 0, 1), mask)
    found = numbers.compute()["saliency"]
    assert found["completeness_gap"] == pytest.approx(0.2)
    assert found["incomplete"] == pytest.approx(3 / 5)
    assert found["mass"] == pytest.approx(0.25)
    assert found["noise"] == 0


def test_images_of_another_size_are_resized_and_of_other_channels_refused(trained):
    explainer = Explainer(trained.classifier)
    images, _ = bars(2)
    large = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    explained = explain_by(explainer, large, ["ecinnh"])
    assert explained.images.shape == (2, 1, 8, 8)
    assert explained.has("ecinnh").all()
    assert not explained.has("saliency").any()
    torch.testing.assert_close(explained.images, images / 255, atol=0.25, rtol=0)
    with pytest.raises(ValueError, match="1 channels, but the data's have 3"):
        explain_by(explainer, images.expand(-1, 3, -1, -1), ["ecinnh"])
    with pytest.raises(ValueError, match="target must be a class from 0 to 2, got 5"):
        explain_by(explainer, images, ["ecinnh"], target=5)


def test_a_flow_that_knows_a_single_class(trained, tmp_path, tables):
    """Nothing leads to the classes that no training image is classified as."""
    module = network()
    module.load_state_dict(trained.state_dict())
    with torch.no_grad():
        module.classifier.mixture.component_means[1:] += 1000
    module.classifier.class_counts[1:] = 0
    drawing_them = trainer(tmp_path, drawing(count=20))
    with pytest.warns(UserWarning, match="no step leads to 10 of 10 counterfactuals"):
        drawing_them.test(module, datamodule=TrueBars(), verbose=False)
    ((rows, _),) = tables
    assert all(row.counterfactual is None and row.heatmaps[0] is None for row in rows)
    assert all(row.heatmaps[1] is not None for row in rows)


def test_training_stays_in_training_mode(tmp_path):
    """Asking about the model before the fit must not switch its dropout off."""
    modes = []

    class Watch(PlainBars):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            modes.append(self.trainer.lightning_module.classifier.training)
            return batch

    there = trainer(tmp_path, drawing(), max_epochs=1, limit_val_batches=0)
    there.fit(network(), datamodule=Watch())
    assert modes
    assert all(modes)
