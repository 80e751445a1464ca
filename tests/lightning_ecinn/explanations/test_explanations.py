"""What is said, drawn and written of counterfactuals is what they are."""

import csv
import io
import json

import numpy as np
import pytest
import torch
from matplotlib.image import BboxImage
from matplotlib.patches import Rectangle
from PIL import Image

from lightning_ecinn import Explainer
from lightning_ecinn.explanations import (
    as_png,
    certificate_words,
    one_line,
    panel,
    result_rows,
    save_pictures,
)
from lightning_ecinn.figures import PanelPrinter, PanelRow, counterfactual_panel
from lightning_ecinn.models import GenerativeClassifier

NAMES = ["a/b", "a b", "<c>"]


@pytest.fixture(scope="module")
def explainer():
    torch.manual_seed(0)
    classifier = GenerativeClassifier(
        (1, 8, 8), 3, class_names=NAMES, blocks=[1, 1], widths=[4, 4], fc_width=4
    ).double()
    mu = classifier.mixture.component_means.detach()
    classifier.class_means.copy_(0.1 * mu)
    classifier.class_counts.fill_(1)
    return Explainer(classifier)


@pytest.fixture(scope="module")
def images():
    return torch.randint(256, (4, 1, 8, 8), generator=torch.Generator().manual_seed(1)).byte()


@pytest.fixture(scope="module")
def steps(explainer, images):
    target = torch.tensor([[0, 1], [1, 2], [2, 0], [0, 2]])
    return explainer.explain_steps(images, target, [0.5, "convincing"])


def test_rows_are_the_certificates_and_changes(steps, explainer):
    rows = result_rows(steps, names=list("wxyz"), called=["half", "convincing"])
    assert [row["picture"] for row in rows[:5]] == ["w"] * 4 + ["x"]
    assert [row["step"] for row in rows[:3]] == ["half", "convincing", "half"]
    assert [row["target"] for row in rows[:4]] == ["a/b", "a/b", "a b", "a b"]
    for k, cf in enumerate(steps):
        seen = explainer.posterior(cf.image_8bit.flatten(0, 1))
        change = (cf.image_8bit - cf.input).flatten(0, 1).flatten(1)
        for i, row in enumerate(rows[k::2]):
            q = NAMES.index(row["target"])
            assert row["target_posterior"] == pytest.approx(float(seen[i, q]))
            assert row["predicted"] == NAMES[int(seen[i].argmax())]
            assert row["l1"] == pytest.approx(float(change[i].abs().sum()))
            assert row["l2"] == pytest.approx(float(change[i].norm()))
            assert row["source_posterior"] == pytest.approx(
                float(explainer.posterior(cf.input[i // 2, :1])[0].max())
            )
            assert row["holds"] == (row["reason"] == "")


def test_words():
    row = {
        "picture": "me.png", "source": "7", "source_posterior": 0.995, "target": "9",
        "step": "convincing", "alpha": 1.234, "target_posterior": 0.42, "holds": False,
        "reason": "still classified as 7", "quantile_before": 0.0, "quantile_after": 0.4,
    }  # fmt: skip
    assert certificate_words(row) == (
        "Does not hold: still classified as 7.\n"
        "Likelier than 40 % of the training images (the input: none)."
    )
    assert one_line(row) == (
        "me.png: 7 (99.5 %) -> 9 (42.0 %), convincing, alpha 1.23, does not hold: still classified "
        "as 7"
    )
    same = {**row, "target": "7", "quantile_after": None}
    assert certificate_words(same) == "It is 7 already: nothing was changed."
    assert one_line(same) == "me.png: 7 (99.5 %), the target already"
    held = {**row, "holds": True, "reason": "", "target_posterior": 0.9999, "quantile_after": None}
    assert certificate_words(held) == "Holds: the picture is 9 to the classifier, with >99.9 %."


def test_counterfactuals_have_a_length_and_can_be_indexed(explainer, images):
    cf = explainer.explain(images, torch.tensor([0, 1, 2, 0]))
    assert len(cf) == 4
    assert [len(one) for one in cf] == [1] * 4
    for key, rows in ((1, [1]), (-1, [3]), (slice(1, 3), [1, 2]), ([0, 3], [0, 3])):
        assert torch.equal(cf[key].image, cf.image[rows])
        assert torch.equal(cf[key].certificate.posterior, cf.certificate.posterior[rows])
        assert cf[key].certificate.reason == [cf.certificate.reason[i] for i in rows]
    mask = torch.tensor([True, False, False, True])
    assert torch.equal(cf[mask].target, cf.target[mask])
    asked_late = explainer.explain(images, torch.tensor([0, 1, 2, 0]))[2]
    torch.testing.assert_close(asked_late.certificate.posterior, cf[2].certificate.posterior)
    for number in (4, -5):
        with pytest.raises(IndexError, match="There is no image"):
            cf[number]


def test_they_draw_and_show_themselves(steps):
    figure = steps[1].figure("a title")
    said = [text.get_text() for text in figure.texts]
    assert "a title" in said
    assert any(text.startswith(("Holds", "Does not hold", "It is")) for text in said)
    assert len(figure.findobj(BboxImage)) == 8 * 3  # a row for each picture and target
    assert steps[1]._repr_png_()[:4] == b"\x89PNG"


def test_a_panel_has_a_row_for_each_target_and_a_column_for_each_step(steps):
    figure = panel(steps, names=list("wxyz"), called=["half", "convincing"])
    labels = [text.get_text() for text in figure.texts]
    assert {"input", "half", "convincing", "heatmap", "posterior"} <= {*labels}
    assert sum(label.startswith("w\n") for label in labels) == 2
    bars = [a.get_width() for a in figure.artists if isinstance(a, Rectangle) and not a.get_lw()]
    whole = bars[0] / steps[0].input_posterior[0, 0, 0]
    before, after = steps[0].input_posterior[0, 0], steps[1].certificate.posterior[0, 0]
    assert bars[:6] == pytest.approx((whole * torch.cat((before, after))).tolist())


def test_of_many_classes_the_likeliest_have_bars():
    before, after = torch.zeros(40), torch.zeros(40)
    before[30], after[3] = 1, 1
    picture = torch.zeros(3, 4, 4)
    row = PanelRow("x", [picture], [""], picture, before, after, "words", True)
    figure = counterfactual_panel([row], [f"class {k}" for k in range(40)], columns=["input"])
    shown = [text.get_text() for text in figure.texts if text.get_text().startswith("class ")]
    assert len(shown) == 12
    assert {"class 3", "class 30"} <= {*shown}
    with pytest.raises(ValueError, match="rows of 2 pictures"):
        counterfactual_panel([row], ["a"], columns=["input", "more"])


def of(shape, num_classes, label="a to b"):
    """A row of a panel, of random numbers."""
    generator = torch.Generator().manual_seed(num_classes)
    before, after = (torch.rand(2, num_classes, generator=generator) * 9).softmax(1)
    pictures = [torch.rand(shape, generator=generator) for _ in range(2)]
    captions, words = (
        ["p(a) 97.1 %", "alpha 1.20"],
        "Does not hold: still $a$.\nLikelier than none.",
    )
    return PanelRow(label, pictures, captions, pictures[1] - 0.5, before, after, words, False)


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("shape", "names", "title"),
    [
        ((1, 4, 6), ["a", "$b$", "猫"], "one.png"),
        ((3, 6, 4), [f"kind {k}" for k in range(14)], None),
    ],
)
def test_what_panels_share_is_drawn_once_and_nothing_else_is(shape, names, title):
    printer = PanelPrinter()
    for label in ("a to b", "b to a", "a longer name to b"):
        rows = [of(shape, len(names), label)]
        printed = printer.png(rows, names, columns=["input", "half"], title=title)
        figure = counterfactual_panel(rows, names, columns=["input", "half"], title=title)
        assert np.array_equal(pixels(printed), pixels(as_png(figure)))


def test_a_panel_shows_the_pictures_and_their_change_in_their_proportions():
    row = of((3, 4, 8), 2)
    figure = counterfactual_panel([row], ["a", "b"], columns=["input", "half"])
    shown = pixels(as_png(figure))
    for image, expected in zip(figure.findobj(BboxImage), [*row.pictures, None], strict=True):
        box = image.get_window_extent()
        assert box.width == pytest.approx(2 * box.height)
        if expected is not None:
            found = shown[int(len(shown) - box.y1 + box.height / 8), int(box.x0 + box.width / 16)]
            assert found.tolist() == (255 * expected[:, 0, 0]).round().byte().tolist()


def test_panels_that_are_written_are_those_that_are_drawn(explainer, images, tmp_path):
    """Their rows are computed once."""
    target = torch.tensor([[0, 1], [1, 2], [2, 0], [0, 2]])
    steps = explainer.explain_steps(images, target, [0.5, "convincing"])
    called = ["half", "convincing"]
    save_pictures(steps, tmp_path, names=list("wxyz"), called=called, first=7)
    for i, name in enumerate("wxyz"):
        figure = panel([cf[i] for cf in steps], called=called, title=name)
        content = (tmp_path / f"{7 + i:03}-{name}-panel.png").read_bytes()
        assert np.array_equal(pixels(content), pixels(as_png(figure)))


def test_what_is_written_is_what_was_found_and_nothing_is_overwritten(steps, tmp_path):
    cf = steps[1]
    files = cf.save(tmp_path / "new")
    assert sorted(files) == sorted((tmp_path / "new").iterdir())
    content = json.loads((tmp_path / "new" / "results.json").read_text())
    assert content["class_names"] == NAMES
    rows = content["counterfactuals"]
    with (tmp_path / "new" / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(rows) == len(table) == 8
    for i, row in enumerate(rows):
        found = np.asarray(Image.open(tmp_path / "new" / row["file"]))
        expected = (cf.image_8bit.flatten(0, 1)[i, 0] * 255).round()
        assert torch.equal(torch.from_numpy(found.copy()).double(), expected)
        assert table[i]["target"] == row["target"]
        assert float(table[i]["alpha"]) == row["alpha"]
    assert len({row["file"] for row in rows}) == 8, "a/b and a b are different classes"
    (tmp_path / "new" / "results.json").write_text("mine")
    with pytest.raises(ValueError, match="is there already, and nothing is overwritten"):
        cf.save(tmp_path / "new")
    assert (tmp_path / "new" / "results.json").read_text() == "mine"
