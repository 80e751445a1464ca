"""Tables of heatmaps, matrices, and the numbers in them."""

import numpy as np
import pytest
import torch

from lightning_ecinn.comparison import HeatmapNumbers
from lightning_ecinn.figures import HeatmapRow, correlation_matrices, heatmap_table, text_table
from lightning_ecinn.figures.heatmaps import heatmap_unit
from lightning_ecinn.metrics import heatmap_correlation


def test_correlation_is_numpys():
    torch.manual_seed(0)
    a, b = torch.randn(2, 5, 3, 6, 4)
    expected = [np.corrcoef(x.flatten(), y.flatten())[0, 1] for x, y in zip(a, b, strict=True)]
    torch.testing.assert_close(heatmap_correlation(a, b), torch.tensor(expected).double())


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_correlation_of_the_same_is_one_whatever_the_unit(scale):
    a = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(heatmap_correlation(a, scale * a + scale), ones)
    torch.testing.assert_close(heatmap_correlation(a, -scale * a), -ones)


def test_a_constant_heatmap_correlates_with_nothing():
    a = torch.stack((torch.full((1, 4, 4), 0.1), torch.zeros(1, 4, 4)))
    assert heatmap_correlation(a, torch.randn(2, 1, 4, 4)).tolist() == [0, 0]
    with pytest.raises(ValueError, match=r"\(2, 1, 4, 4\) and \(2, 1, 4, 5\): resize"):
        heatmap_correlation(a, torch.zeros(2, 1, 4, 5))


def test_full_colour_leaves_two_percent_of_the_mass_beyond():
    values = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)).double()
    mass = values.abs()
    unit = heatmap_unit(values)
    assert mass[mass > unit].sum() / mass.sum() == pytest.approx(0.02, abs=1e-3)
    sparse = torch.full((28, 28), 1e-6)
    sparse[3, 0], sparse[5, 0] = -0.8, 0.9  # 2 of 784 pixels: not a quantile of the background
    assert heatmap_unit(sparse) == pytest.approx(0.9)
    assert heatmap_unit(torch.zeros(4, 4)) == 1


def row(size=16, channels=1, methods=3, **settings):
    heatmaps = [k * torch.randn(channels, size, size) for k in range(methods)]
    gaps = [None, 0.03, 12.5][:methods]
    picture = torch.rand(channels, size, size)
    return HeatmapRow(
        **{"label": "3 → 8", "image": picture, "heatmaps": heatmaps, "gaps": gaps, **settings}
    )


def boxes(figure):
    """Every text of a figure with its place on the canvas."""
    renderer = figure.canvas.get_renderer()
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    for axes in figure.axes:
        if axes.axison:
            texts += [*axes.get_yticklabels(), *axes.get_xticklabels(), axes.title]
    shown = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in shown]


def check_texts(figure):
    found = boxes(figure)
    width, height = figure.canvas.get_width_height()
    for i, (text, box) in enumerate(found):
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
        assert not any(box.overlaps(other) for _, other in found[:i]), text
    for axes in figure.axes:
        place = axes.get_window_extent().shrunk(0.98, 0.98)
        assert not any(place.overlaps(box) for text, box in found if text not in ("–", *NUMBERS))
    return [text for text, _ in found]


NUMBERS = ("1.00", "-0.20")


@pytest.mark.parametrize("num_rows", [1, 4])
@pytest.mark.parametrize("columns", [1, 8])
def test_no_text_is_clipped_or_overlaps(num_rows, columns):
    full = row(16, 3, columns, gaps=[1e9] * columns, label="heavy make-up\nnot wearing lipstick")
    rows = [full] * num_rows
    methods = ["Integrated Gradients", "DeepLiftSHAP"] * 4
    figure = heatmap_table(rows, methods[:columns], title="Heatmaps of a test image", note="Units.")
    texts = check_texts(figure)
    assert sum("! gap 9999 %" in text for text in texts) == num_rows * columns


def test_each_heatmap_has_its_scale_and_its_gap():
    shown = row(8, 3, counterfactual=torch.rand(3, 8, 8), caption="98.0 %")
    figure = heatmap_table([shown], ["A", "B", "C"])
    images = [axes.get_images()[0] for axes in figure.axes]
    assert len(images) == 2 + 3 + 1
    for image, heatmap in zip(images[2:5], shown.heatmaps, strict=True):
        assert image.get_clim() == (-1, 1)
        values = heatmap.double().sum(0)
        np.testing.assert_allclose(image.get_array(), values / heatmap_unit(values))
    texts = {text.get_text(): text.get_color() for axes in figure.axes for text in axes.texts}
    assert f"±{heatmap_unit(shown.heatmaps[1].double().sum(0)):.2g}" in texts
    assert "98.0 %" in texts
    assert texts["gap 3 %"] != texts["! gap 1250 %"] == "#b2182b"


def test_missing_cells_are_dashes_and_empty_columns_are_left_out():
    lacking = row(heatmaps=[None, torch.ones(1, 16, 16), None], gaps=[None] * 3)
    assert boxes(heatmap_table([lacking], ["A", "B", "C"])) != []
    texts = check_texts(heatmap_table([lacking], ["A", "B", "C"]))
    assert texts.count("–") == 2
    assert "counterfactual" not in texts
    both = [row(224, counterfactual=torch.rand(1, 224, 224)), lacking]
    texts = check_texts(heatmap_table(both, ["A", "B", "C"]))
    assert texts.count("–") == 3
    assert "counterfactual" in texts


def test_rows_must_fit_the_columns():
    with pytest.raises(ValueError, match="'3 → 8' has 3 heatmaps and 3 gaps for 1 methods"):
        heatmap_table([row()], ["A"])
    with pytest.raises(ValueError, match="at least one row"):
        heatmap_table([], ["A"])


@pytest.mark.parametrize("size", [1, 3])
def test_matrices_say_their_numbers(size):
    matrix = [[1.0 if i == j else -0.2 for j in range(size)] for i in range(size)]
    matrix[-1][0] = None
    names = ["smiling", "heavy make-up", "Inception-v3 on lipstick"][:size]
    figure = correlation_matrices({"Integrated Gradients": matrix, "B": matrix}, names, title="r")
    texts = check_texts(figure)
    assert texts.count("–") == 2
    assert texts.count("1.00") == (0 if size == 1 else 2 * size)


def test_short_names_need_no_numbers():
    texts = check_texts(correlation_matrices({"slant": [[None, 1.0], [-0.2, None]]}, ["0", "1"]))
    assert texts.count("0") == texts.count("1") == 2
    assert "1 0" not in texts


def test_numbers_of_nothing_are_no_numbers():
    assert HeatmapNumbers(["ecinnh"]).compute() == {"ecinnh": {}}


def test_tables_are_aligned():
    assert text_table([["", "gap"], ["DeepLift", "3 %"]]) == "          gap\nDeepLift  3 %"
