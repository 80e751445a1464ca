"""The notebook for newcomers: what it says is true, and what it shows is what it does."""

import base64
import io
import tempfile
from pathlib import Path

import pytest
from PIL import Image

run_tour = pytest.importorskip("run_tour", reason="needs nbclient and ipykernel: pip install them")
nbformat = run_tour.nbformat

IPYTHON = Path.home() / ".ipython"

# What the texts say of the pictures between them, in the notebook's own names.
CLAIMS = """
assert cf.certificate.holds.all() and cf.source.tolist() == [4]
assert abs(tipping.posterior[0, 4] - tipping.posterior[0, 9]) < 1e-3
assert abs(convincing.alpha - (0.8 + tipping.alpha / 2)) < 1e-5

# Of FakeMNIST one pixel goes out and another one lights up, and the digit keeps its shape.
assert trainer.callback_metrics["val/accuracy"] > 0.97
first = fake_explainer.explain(fake_images, (fake_labels + 1) % 10)
assert first.certificate.holds.float().mean() > 0.95
changed = first.heatmap.abs() * data.mask(first.source, first.target)
assert (changed.flatten(1).amax(1) == first.heatmap.abs().flatten(1).amax(1)).float().mean() > 0.9
assert ((first.image_8bit - first.input).abs() > 0.25).flatten(1).sum(1).float().median() <= 4

assert not short.certificate.holds.item()
assert 0.95 < many.certificate.holds.float().mean() < 1

def negative_is_usual(picture):
    as_it_is, negative = (explainer.explain(p, 9).certificate for p in (picture, 255 - picture))
    return as_it_is.quantile_before == 0 < 0.2 < negative.quantile_before and negative.holds

assert negative_is_usual(mine)
assert explainer.explain(255 - mine, 9).source.tolist() == [4]
assert asked.certificate.holds.all() and (network(images / 255).argmax(1) == labels).sum() > 540
"""


@pytest.fixture
def shipped():
    return nbformat.read(run_tour.TOUR, 4)


def outputs(notebook):
    return [one for cell in notebook.cells for one in cell.get("outputs", [])]


def shown(notebook):
    """What kinds of things each cell shows; numbers differ from processor to processor."""
    return [
        [sorted(one.data) if "data" in one else one.get("name") for one in cell.get("outputs", [])]
        for cell in notebook.cells
    ]


def check_quiet(notebook):
    """Every cell ran, from the top; none failed, and nothing was said in red."""
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == [*range(1, len(counts) + 1)]
    for one in outputs(notebook):
        assert one.output_type != "error"
        assert one.get("name") != "stderr", one.text


def test_the_outputs_in_it_are_whole_and_small(shipped):
    nbformat.validate(shipped)
    check_quiet(shipped)
    assert run_tour.TOUR.stat().st_size < 1_500_000
    pictures = [
        one.data["image/png"] for one in outputs(shipped) if "image/png" in one.get("data", {})
    ]
    assert len(pictures) > 8
    for picture in pictures:
        Image.open(io.BytesIO(base64.b64decode(picture))).verify()


def test_nothing_in_it_is_of_one_machine(shipped):
    text = run_tour.TOUR.read_text()
    assert nbformat.writes(run_tour.normalised(shipped), indent=1) + "\n" == text
    assert "widget" not in text
    places = {Path.home(), run_tour.TOUR.parents[1], Path(tempfile.gettempdir()), "site-packages"}
    said = [str(one.get("text", one.get("data", {}).get("text/plain"))) for one in outputs(shipped)]
    assert not [text for text in said for place in places if f"{place}" in text]


@pytest.mark.slow
def test_what_it_says_is_true(shipped, tmp_path):
    before = shown(shipped)
    checked = nbformat.from_dict(shipped)
    checked.cells.append(nbformat.v4.new_code_cell(CLAIMS))
    beside = sorted(run_tour.TOUR.parent.iterdir())
    had_folder = IPYTHON.exists()
    run_tour.executed(checked, tmp_path)
    check_quiet(checked)
    assert shown(checked) == [*before, []]
    for place in ("work", "temporary"):
        assert list((tmp_path / place).iterdir()) == [], "the tour leaves something behind"
    assert sorted(run_tour.TOUR.parent.iterdir()) == beside
    assert IPYTHON.exists() == had_folder
