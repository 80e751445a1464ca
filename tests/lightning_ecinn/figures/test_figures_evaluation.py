"""What the figures of an evaluation say: their texts, their places and the numbers drawn."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from lightning_ecinn.figures import (
    alpha_histograms,
    class_matrix,
    faithfulness_curves,
    plausibility_examples,
    posterior_paths,
)

NAMES = ["not smiling", "smiling", "an attribute with quite a long name"]


def texts_of(figure):
    """Every text of a figure; none may be outside it or touch another."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = [*figure.texts]
    for axes in figure.axes:
        found += axes.texts
        if axes.axison:
            found += [axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = [t for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
                found += [label for tick in ticks for label in (tick.label1, tick.label2)]
        if axes.get_legend():
            found += [axes.get_legend().get_title(), *axes.get_legend().get_texts()]
    shown = [text for text in found if text.get_visible() and text.get_text().strip()]
    boxes = [text.get_window_extent(renderer) for text in shown]
    width, height = figure.canvas.get_width_height()
    for i, (text, box) in enumerate(zip(shown, boxes, strict=True)):
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
        assert not any(box.overlaps(other) for other in boxes[:i]), text
    return [text.get_text() for text in shown]


def heights(axes):
    return np.array([bar.get_height() for bar in axes.patches])


def test_histograms_share_an_axis_and_count_everything():
    tipping = np.random.default_rng(0).normal(0.5, 0.05, 1000)
    alphas = {"tipping": tipping, "star": tipping, "certified": [*tipping, 7.0, 30.0]}
    figure = alpha_histograms(alphas, title="Step lengths")
    texts = texts_of(figure)
    assert texts[:4] == ["Step lengths", *alphas]
    assert len(figure.axes) == 3
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    one, same, third = map(heights, figure.axes)
    np.testing.assert_array_equal(one, same)
    assert one.sum() == pytest.approx(100)
    assert third.sum() == pytest.approx(100 * 1000 / 1002)
    assert "2 beyond, to 30" in texts
    assert texts.count(f"median {np.median(tipping):.3f}") >= 2
    for axes, values in zip(figure.axes, alphas.values(), strict=True):
        assert axes.lines[0].get_xdata()[0] == np.median(values)
    lower = [axes.get_position() for axes in figure.axes]
    assert all(low.y1 < high.y0 for high, low in pairwise(lower))


def test_a_histogram_shows_the_largest_value_and_says_where_there_is_none():
    figure = alpha_histograms({"tipping": [0.5] * 4, "certified": [], "zero": [0.0]})
    assert [heights(axes).sum() for axes in figure.axes] == [100, 0, 100]
    assert texts_of(figure).count("none") == 1
    figure = alpha_histograms({"certified": []})
    assert figure.axes[0].get_xlim()[1] > 0


@pytest.mark.parametrize(
    ("alphas", "message"),
    [
        ({}, "at least one kind"),
        ({"star": [0.5, float("nan")]}, "'star' must be finite"),
        ({"star": [-0.1]}, "at least 0"),
    ],
)
def test_step_lengths_are_numbers(alphas, message):
    with pytest.raises(ValueError, match=message):
        alpha_histograms(alphas)


def test_paths_show_quantiles_and_the_tie():
    t = [0.0, 0.5, 1.0, 1.5, 2.0]
    slopes = torch.linspace(2, 20, 101).double()[:, None]
    target = torch.sigmoid(slopes * (torch.tensor(t).double() - 1))
    figure = posterior_paths(t, 1 - target, target, title="Posteriors")
    texts = texts_of(figure)
    for text in ("Posteriors", "tipping point α₀", "source p", "target q"):
        assert text in texts
    assert any("101 images" in text for text in texts)
    (axes,) = figure.axes
    source_line, target_line, tie = axes.lines
    expected = np.quantile(target.numpy(), 0.5, axis=0)
    np.testing.assert_allclose(target_line.get_ydata(), expected)
    assert source_line.get_ydata()[2] == target_line.get_ydata()[2] == 0.5
    assert set(tie.get_xdata()) == {1}
    assert target_line.get_color() != source_line.get_color()
    band = axes.collections[1].get_paths()[0].vertices
    at_half = band[band[:, 0] == 0.5, 1]
    np.testing.assert_allclose(
        [at_half.min(), at_half.max()], np.quantile(target.numpy()[:, 1], [0.05, 0.95])
    )


def test_the_tie_is_within_the_axis_whatever_the_steps():
    figure = posterior_paths([0.0, 0.5], torch.ones(1, 2), torch.zeros(1, 2))
    assert figure.axes[0].get_xlim() == (0, 1)
    texts_of(figure)


@pytest.mark.parametrize("shape", [(3, 4), (0, 2), (2,)])
def test_paths_need_one_column_per_step(shape):
    with pytest.raises(ValueError, match=r"the target must be \(N, 2\)"):
        posterior_paths([0.0, 1.0], torch.ones(3, 2), torch.ones(shape))


@pytest.mark.parametrize("num_classes", [2, 10])
@pytest.mark.parametrize("percent", [True, False])
def test_class_matrices_say_every_number(num_classes, percent):
    values = torch.rand(num_classes, num_classes, dtype=torch.float64)
    values.fill_diagonal_(float("nan"))
    names = (NAMES * 4)[:num_classes]
    figure = class_matrix(values, names, title="Validity", percent=percent)
    texts = texts_of(figure)
    (axes,) = figure.axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    for i in range(num_classes):
        for j in range(num_classes):
            value = values[i, j].item()
            number = f"{100 * value:.1f}" if percent else f"{value:.2f}"
            assert cells[j, i] == ("–" if i == j else number)
    assert {"source p", "target q", "Validity"} < set(texts)
    assert ("% " in texts) == percent
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text().replace("\n", " ") for label in labels] == names
    assert np.array_equal(np.ma.getmaskarray(axes.images[0].get_array()), np.eye(num_classes))


def test_short_names_stand_upright_and_colours_follow_the_sign():
    nan = float("nan")
    figure = class_matrix(torch.tensor([[nan, -0.5], [0.5, nan]]), ["0", "1"])
    texts_of(figure)
    (axes,) = figure.axes
    assert all(label.get_rotation() == 0 for label in axes.get_xticklabels())
    image = axes.images[0]
    assert image.get_clim() == (-1, 1)
    red, _, blue, _ = image.to_rgba(0.5)
    assert red > blue
    red, _, blue, _ = image.to_rgba(-0.5)
    assert red < blue


def test_shares_that_hardly_differ_hardly_differ_in_colour():
    nan = float("nan")
    figure = class_matrix(torch.tensor([[nan, 0.99], [1.0, nan]]), ["0", "1"], percent=True)
    assert figure.axes[0].images[0].get_clim() == pytest.approx((0.9, 1))
    figure = class_matrix(torch.full((2, 2), nan), ["0", "1"], percent=True)
    assert texts_of(figure).count("–") == 4


def test_a_class_matrix_is_square():
    with pytest.raises(ValueError, match=r"\(3, 3\), got \(2, 2\)"):
        class_matrix(torch.zeros(2, 2), NAMES)


@pytest.mark.parametrize(("n", "expected"), [(20, (8, 8)), (5, (3, 2)), (1, (1, 0))])
def test_examples_go_from_plausible_to_implausible(n, expected):
    log_probs = torch.arange(n).double()[torch.randperm(n)]
    inputs = (log_probs / n).view(-1, 1, 1, 1).expand(n, 1, 8, 8)
    captions = [f"3 → 8, quantile {value:.2f}" for value in log_probs]
    figure = plausibility_examples(inputs, 1 - inputs, log_probs, captions, title="Examples")
    texts = texts_of(figure)
    best, worst = expected
    order = [f"3 → 8, quantile {n - 1 - i:.2f}" for i in range(n)]
    shown = [text for text in texts if text.startswith("3")]
    assert shown == order[:best] + order[n - worst :]
    assert [text for text in texts if "plausible" in text] == (
        ["most plausible", "least plausible"] if worst else ["most plausible"]
    )
    for axes in figure.axes:
        pixels = axes.images[0].get_array()
        assert float(axes.texts[0].get_text().split()[-1]) == pytest.approx(n * pixels[0, 0])
        assert pixels[0, 8] == 1
        assert pixels[0, -1] == pytest.approx(1 - pixels[0, 0])


def test_long_captions_have_space():
    captions = ["not wearing lipstick → wearing lipstick, quantile 0.512"] * 6
    pictures = torch.rand(6, 3, 16, 16)
    texts_of(plausibility_examples(pictures, pictures, torch.arange(6), captions, count=2))


def test_examples_need_their_parts():
    pictures = torch.rand(2, 1, 8, 8)
    with pytest.raises(ValueError, match="got 2, 2, 2, 1 and 8"):
        plausibility_examples(pictures, pictures, torch.zeros(2), ["3 → 8"])
    with pytest.raises(ValueError, match="log p of the counterfactuals must be finite"):
        plausibility_examples(pictures, pictures, torch.full((2,), float("nan")), ["a", "b"])
    with pytest.raises(ValueError, match="and 0"):
        plausibility_examples(pictures, pictures, torch.zeros(2), ["a", "b"], count=0)


def test_curves_name_their_areas_and_show_their_bands():
    curve = torch.tensor([1.0, 0.5, 0.0])  # two trapezoids: 0.375 + 0.125
    step = torch.tensor([1.0, 0.0, 0.0])
    bands = {"ECINNh": (curve - 0.1, curve + 0.1)}
    figure = faithfulness_curves(
        {"ECINNh": curve, "Integrated Gradients": step},
        bands,
        title="Deletion",
        xlabel="share replaced by black",
    )
    texts = texts_of(figure)
    expected = ["Deletion", "ECINNh: 0.500", "Integrated Gradients: 0.250"]
    assert {*expected, "share replaced by black", "area under the curve"} < set(texts)
    (axes,) = figure.axes
    first, second = axes.lines
    np.testing.assert_array_equal(first.get_xdata(), [0, 0.5, 1])
    np.testing.assert_array_equal(second.get_ydata(), step)
    (band,) = axes.collections
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(1.1)


def test_many_curves_look_different():
    curves = {f"method {i}": torch.linspace(1, 0, 5) for i in range(12)}
    figure = faithfulness_curves(curves, {})
    texts_of(figure)
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 12


def test_curves_are_checked():
    curve = torch.linspace(1, 0, 5)
    with pytest.raises(ValueError, match="at least one method"):
        faithfulness_curves({}, {})
    with pytest.raises(ValueError, match=r"'B' needs a curve .* got curves of A"):
        faithfulness_curves({"A": curve}, {"B": (curve, curve)})
    with pytest.raises(ValueError, match=r"ends of \(5, 4\) values"):
        faithfulness_curves({"A": curve}, {"A": (curve, curve[1:])})
    with pytest.raises(ValueError, match="curve of 'A' must be finite"):
        faithfulness_curves({"A": curve / 0}, {})
