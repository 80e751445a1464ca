"""The pictures of all directions: which pairs, what is in the cells, and that it can be read."""

import numpy as np
import pytest
import torch
from constructed import constructed
from matplotlib.colors import to_rgba

from lightning_ecinn import latent_atlas, latent_cosines
from lightning_ecinn.figures import cosine_matrix, direction_atlas, heatmaps

LONG = ["not wearing eyeglasses", "very high cheekbones", "smiling"]


def words(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.texts)


def clipped(figure):
    """Texts and names of ticks that leave the canvas."""
    figure.draw_without_rendering()
    width, height = figure.canvas.get_width_height()
    texts = list(figure.texts)
    for axes in figure.axes:
        texts += [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text()]
    return [t for t, b in boxes if min(b.x0, b.y0) < 0 or b.x1 > width or b.y1 > height]


def cells(figure):
    """What every axes shows but the colour bar, which is the last."""
    return [axes.get_images()[0].get_array() for axes in figure.axes[:-1]]


@pytest.mark.parametrize(
    ("num_classes", "num_cells", "which"),
    [(2, 3, "the only pair"), (5, 25, "all 10 pairs"), (20, 3 * 45, "the 45 nearest of 190 pairs")],
)
def test_any_number_of_classes_can_be_read(num_classes, num_cells, which):
    explainer = constructed(num_classes)
    figure = latent_atlas(explainer)
    assert len(cells(figure)) == num_cells
    assert which in words(figure)
    assert not clipped(figure)
    cosines = latent_cosines(explainer)
    assert which in words(cosines)
    assert not clipped(cosines)
    size = {2: 2, 5: 10, 20: 45}[num_classes]
    assert cells(cosines)[0].shape == (size, size)
    assert len(cosines.axes[0].texts) == (size**2 if size <= 15 else 0), (
        "numbers where there is room"
    )
    assert max(*figure.get_size_inches(), *cosines.get_size_inches()) < 17


def test_cells_are_the_differences_of_the_decoded_means():
    explainer = constructed(3, LONG)
    figure = latent_atlas(explainer)
    assert not clipped(figure)
    pictures = explainer.decode(explainer.classifier.class_means)
    differences = torch.stack([(pictures[q] - pictures[p])[0] for p, q in ((0, 1), (0, 2), (1, 2))])
    unit = heatmaps.heatmap_unit(differences)
    shown = cells(figure)
    assert np.allclose(shown[0], pictures[0, 0])
    assert np.allclose(shown[1], differences[0] / unit)  # row p = 0, column q = 1
    assert np.allclose(shown[3], -differences[0] / unit)
    assert np.allclose(shown[5], differences[2] / unit)
    ticks = [text.get_text() for text in figure.axes[-1].get_yticklabels()]
    assert ticks == [f"−{unit:.2g}", "0", f"+{unit:.2g}"]


def test_of_many_pairs_the_nearest_are_listed_and_classes_without_mean_named():
    explainer = constructed(4, ["a", "b", "c", "d"])
    explainer.classifier.class_means[2, 1] += 3
    explainer.classifier.class_counts[3] = 0
    figure = latent_atlas(explainer, max_pairs=1)
    assert "the 1 nearest of 3 pairs" in words(figure)
    assert "b → c" in words(figure)
    assert "Left out, as they have no mean: d." in words(figure)
    assert "Left out, as they have no mean: d." in words(latent_cosines(explainer))


def test_cosines_are_written_and_coloured():
    figure = latent_cosines(constructed(3))
    axes = figure.axes[0]
    written = [text.get_text() for text in axes.texts]
    assert written == ["1.00", "0.50", "-0.50", "0.50", "1.00", "0.50", "-0.50", "0.50", "1.00"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0 → 1", "0 → 2", "1 → 2"]
    image = axes.get_images()[0]
    assert image.get_clim() == (-1, 1)
    red, _, blue, _ = image.to_rgba(np.array([[0.5]]))[0, 0]
    assert red > blue


def test_directions_without_an_angle_are_grey():
    explainer = constructed(3)
    explainer.classifier.class_means[1] = explainer.classifier.class_means[0]
    figure = latent_cosines(explainer)
    assert [text.get_text() for text in figure.axes[0].texts].count("–") == 5
    many = constructed(7)
    many.classifier.class_means[1] = many.classifier.class_means[0]
    axes = latent_cosines(many).axes[0]
    assert axes.get_images()[0].get_array().mask.sum() == 2 * 21 - 1
    assert axes.get_facecolor() == to_rgba("0.9")


def test_changes_of_ones_own_take_the_place_of_differences():
    pictures, changes = torch.zeros(3, 1, 4, 4), [torch.full((1, 4, 4), 0.5), torch.ones(1, 4, 4)]
    figure = direction_atlas(pictures, [(0, 1), (1, 0)], ["a", "b", "c"], changes=changes)
    shown = [axes.get_images()[0].get_array() for axes in figure.axes]
    values = [float(array.max()) for array in shown if array.shape == (4, 4) and array.max() > 0]
    assert sorted(values) == [0.5, 1]
    every = [(p, q) for p in range(3) for q in range(3) if p != q][1:]  # one pair has none
    matrix = direction_atlas(pictures, every, ["a", "b", "c"], changes=[changes[0]] * 5)
    assert len([axes for axes in matrix.axes if not axes.get_images()]) == 1


def test_mistakes_are_said_in_one_sentence():
    explainer = constructed(3)
    for draw in (latent_atlas, latent_cosines):
        with pytest.raises(
            ValueError, match="max_pairs must be a whole number of at least 1, got 0"
        ):
            draw(explainer, max_pairs=0)
    with pytest.raises(ValueError, match="for each of 2 names, got 0 pairs"):
        direction_atlas(torch.zeros(2, 1, 8, 8), [], ["a", "b"])
    with pytest.raises(ValueError, match=r"must be \(1, 1\) with at least one, got \(2, 2\)"):
        cosine_matrix(torch.eye(2), [(0, 1)], ["a", "b"])
    explainer.classifier.class_counts.zero_()
    with pytest.raises(ValueError, match="No class means, no directions"):
        latent_atlas(explainer)
