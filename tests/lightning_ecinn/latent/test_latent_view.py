"""The picture of a plane: dots, marks, the line and the path, and what is said of them."""

import numpy as np
import pytest
import torch
from constructed import constructed, images_of
from matplotlib.colors import same_color, to_rgba

from lightning_ecinn import latent_view
from lightning_ecinn.figures import LatentMap, latent_map
from lightning_ecinn.figures.canvas import BLUE, RED

NAMES = ["cat $1", "dog", "猫"]


def view(explainer, count=60, **classes):
    return latent_view(
        explainer, *images_of(explainer, count), **{"source": 0, "target": 1, **classes}
    )


@pytest.fixture(scope="module")
def explainer():
    return constructed(3, NAMES)


@pytest.fixture(scope="module")
def figure(explainer):
    return view(explainer)


def lines(figure):
    """The plane's lines by what the legend calls them."""
    return {line.get_label(): line for line in figure.axes[0].get_lines()}


def note(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


def test_every_class_has_its_colour_and_everything_its_name(figure):
    axes = figure.axes[0]
    dots = [c for c in axes.collections if len(c.get_offsets()) == 40]
    (coloured,) = dots
    for colour in (BLUE, RED):
        same = (coloured.get_facecolors()[:, :3] == to_rgba(colour)[:3]).all(1)
        assert same.sum() == 20
        mean = coloured.get_offsets()[same].mean(0)
        assert (mean[0] > 0) == (colour == RED), "p is left, q right"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "other classes",
        "images of cat $1",
        "images of dog",
        "tie: p(cat $1) = p(dog)",
        "class mean of cat $1",
        "class mean of dog",
        "component mean μ of cat $1",
        "component mean μ of dog",
        "path z + αΔ",
    ]
    assert [text.get_text() for text in axes.texts] == ["z", "α₀", "α₁"]
    assert "latent units" in axes.get_xlabel()
    assert "latent units" in axes.get_ylabel()


def test_the_marks_are_where_the_means_are(figure, explainer):
    half = 6 / np.sqrt(2)
    found = lines(figure)
    for name, x, colour in (("cat $1", -half, BLUE), ("dog", half, RED)):
        mark = found[f"class mean of {name}"]
        assert mark.get_xydata()[0].tolist() == pytest.approx([x, 0], abs=1e-6)
        assert same_color(mark.get_color(), colour)
        near = found[f"component mean μ of {name}"].get_xydata()[0]
        assert near[0] == pytest.approx(0.7 * x, abs=0.2)


@pytest.mark.parametrize("truncation", [1, 0.3])
def test_the_tipping_point_is_on_the_line_and_the_path_along_the_first_axis(truncation):
    explainer = constructed(3, NAMES)
    explainer.truncation = truncation
    figure = view(explainer)
    found = lines(figure)
    points = found["path z + αΔ"].get_xydata()
    assert (np.ptp(points[:, 1]) < 1e-5) == (truncation == 1)
    assert (np.diff(points[:, 0]) > 0).all()
    tie = found["tie: p(cat $1) = p(dog)"]
    first, second = np.array(tie.get_xy1()), np.array(tie.get_xy2())
    along, to = second - first, points[1] - first
    off = (along[0] * to[1] - along[1] * to[0]) / np.hypot(*along)
    assert abs(off) < 1e-4
    captions = [axes.texts[-1].get_text() for axes in figure.axes[1:]]
    assert [caption.split(":")[0] for caption in captions] == [
        "input z",
        "tipping α₀",
        "convincing α₁",
    ]
    assert captions[0].startswith("input z: p(dog) ")


def test_both_axes_have_one_scale(figure):
    axes = figure.axes[0]
    box = axes.get_window_extent()
    per_unit = box.width / np.ptp(axes.get_xlim()), box.height / np.ptp(axes.get_ylim())
    assert per_unit[0] == pytest.approx(per_unit[1], rel=1e-6)


def test_the_note_says_how_many_images_are_not_to_be_seen(figure):
    assert "100.0 % of the 40 coloured images lie on the side of it" in note(figure)
    assert "outside" not in note(figure)
    points = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    points[0], points[1] = torch.tensor([500.0, 0]), torch.tensor([0, 300.0])
    labels = torch.arange(400) % 4  # half of them of other classes
    means = torch.tensor([[-1.0, 0], [1, 0]])
    shown = LatentMap(points, labels, 0, 1, means, means, torch.tensor([1.0, 0, 0]))
    crowded = latent_map(shown, list("abcd"), axis_labels=("x", "y"), note="Said.")
    assert note(crowded).strip() == "Said. 2 of the coloured images are outside the axes."
    assert np.ptp(crowded.axes[0].get_ylim()) < 10


def test_without_a_step_there_is_no_path_and_the_line_goes_through_the_means():
    explainer = constructed(2)
    mu = explainer.classifier.mixture.component_means
    mu.data.copy_(mu.data.flip(0))  # every image is classified as the other class
    found = view(explainer)
    assert len(found.axes) == 1
    assert "path z + αΔ" not in lines(found)
    assert "through the class means, as there is no path" in note(found)
    assert "Cosine of the angle between Δ and μ(q) − μ(p): -" in note(found)


@pytest.mark.parametrize("names", [["0", "1"], ["not wearing eyeglasses", "very high cheekbones"]])
def test_no_text_is_clipped(names):
    figure = view(constructed(2, names, channels=3))
    figure.draw_without_rendering()
    width, height = figure.canvas.get_width_height()
    renderer = figure.canvas.get_renderer()
    texts = [*figure.texts, figure.axes[0].xaxis.label, figure.axes[0].yaxis.label]
    texts += [text for axes in figure.axes[1:] for text in axes.texts]
    texts += figure.axes[0].get_legend().get_texts()
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()]
    assert len(boxes) == 1 + 1 + 2 + 3 + 8
    for i, (text, box) in enumerate(boxes):
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
        assert not any(box.overlaps(other) for _, other in boxes[:i]), text


def test_a_map_refuses_what_it_cannot_draw():
    means = torch.zeros(2, 2)
    for points, said in ((torch.zeros(3, 3), "points of a map of 3 latents"), (means, "points")):
        shown = LatentMap(points, torch.zeros(3), 0, 1, means, means, torch.zeros(3))
        with pytest.raises(ValueError, match=said):
            latent_map(shown, ["a", "b"], axis_labels=("x", "y"))
    shown = LatentMap(means / 0, torch.zeros(2), 0, 1, means, means, torch.zeros(3))
    with pytest.raises(ValueError, match="points of the map must be finite"):
        latent_map(shown, ["a", "b"], axis_labels=("x", "y"))


def test_mistakes_are_said_in_one_sentence(explainer):
    images, labels = images_of(explainer, 6)
    with pytest.raises(ValueError, match=r"labels must be \(6,\), one for each image, got \(5,\)"):
        latent_view(explainer, images, labels[:5])
    with pytest.raises(ValueError, match="no image of class dog among 1: give some"):
        latent_view(explainer, images[:1], labels[:1], 0, 1)
    same = images[:1].expand(2, -1, -1, -1)
    with pytest.raises(ValueError, match="differ nowhere beside the line"):
        latent_view(explainer, same, torch.tensor([0, 1]), 0, 1)
