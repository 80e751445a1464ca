"""Tilt, weight and size, on strokes of which they are known."""

import math

import pytest
import torch
from scipy.ndimage import gaussian_filter

from lightning_ecinn.metrics import ink, shape_height, shape_width, slant, stroke_thickness

ALL = (slant, stroke_thickness, shape_height, shape_width, ink)


def canvas(height=32, width=32):
    return torch.zeros(1, 1, height, width, dtype=torch.float64)


def bar(thickness, start=10, side=32):
    picture = canvas(side, side)
    picture[:, :, 4 : side - 4, start : start + thickness] = 1
    return picture


def sheared(picture, pixels_per_row):
    """Each row of a picture moved to the left by so many pixels more than the one above."""
    wide = torch.nn.functional.pad(picture, (64, 64))  # nothing comes round
    rows = [row.roll(-pixels_per_row * (k - 16), -1) for k, row in enumerate(wide.unbind(2))]
    return torch.stack(rows, 2)


def tilted(degrees, thickness, side=48, length=30):
    """A stroke with smooth edges."""
    y, x = (v.double() - side / 2 + 0.5 for v in torch.meshgrid(
        torch.arange(side), torch.arange(side), indexing="ij"))  # fmt: skip
    angle = math.radians(degrees)
    along = x * math.sin(angle) - y * math.cos(angle)
    across = x * math.cos(angle) + y * math.sin(angle)
    edge = (thickness / 2 - across.abs() + 0.5).clamp(0, 1)
    return (edge * (length / 2 - along.abs() + 0.5).clamp(0, 1))[None, None]


def blob(seed=0):
    noise = torch.rand(14, 10, generator=torch.Generator().manual_seed(seed)).double()
    smooth = torch.from_numpy(gaussian_filter(noise.numpy(), 1.5))
    picture = canvas()
    picture[0, 0, 8:22, 9:19] = (smooth - smooth.mean()).clamp_min(0) / smooth.max()
    return picture


@pytest.mark.parametrize("thickness", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("turned", [False, True])
def test_a_bar_is_as_thick_as_it_is(thickness, turned):
    picture = bar(thickness)
    picture = picture.mT if turned else picture
    assert stroke_thickness(picture).item() == pytest.approx(thickness, abs=0.01)


@pytest.mark.parametrize("degrees", [0, 15, 30, 45, 60, 90])
def test_a_tilted_stroke_is_as_thick(degrees):
    assert stroke_thickness(tilted(degrees, 4)).item() == pytest.approx(4, abs=0.26)


def test_ends_and_corners_make_no_stroke_thinner():
    square = canvas()
    square[..., 8:20, 8:20] = 1
    assert stroke_thickness(square).item() == pytest.approx(12)
    corner = bar(4)
    corner[..., 4:8, 10:28] = 1
    assert stroke_thickness(corner).item() == pytest.approx(4, abs=0.15)


def test_a_picture_full_of_ink_is_a_stroke_too():
    assert stroke_thickness(torch.ones(1, 1, 8, 8)).item() == pytest.approx(8)


@pytest.mark.parametrize("pixels", [1, -1, 2])
def test_a_shear_changes_the_slant_by_itself(pixels):
    picture = blob()
    tangents = [slant(p).deg2rad().tan() for p in (picture, sheared(picture, pixels))]
    assert (tangents[1] - tangents[0]).item() == pytest.approx(pixels, abs=1e-12)


def test_a_bar_that_leans_right_has_its_angle():
    assert slant(bar(3)).item() == pytest.approx(0, abs=1e-12)
    assert slant(sheared(bar(1, 16), 1)).item() == pytest.approx(45, abs=1e-9)
    for degrees in (20, -35):  # moments of an ideal stroke: the ends count a little
        assert slant(tilted(degrees, 2)).item() == pytest.approx(degrees, abs=0.3)


def test_height_and_width_are_those_between_which_the_ink_lies():
    picture = bar(5)
    assert shape_height(picture).item() == pytest.approx(0.98 * 24)
    assert shape_width(picture).item() == pytest.approx(0.98 * 5)
    assert ink(picture).item() == pytest.approx(5 * 24)


def test_the_width_is_that_without_the_slant():
    for pixels in (1, -2):
        assert shape_width(sheared(bar(5, 16), pixels)).item() == pytest.approx(0.98 * 5)


def test_twice_the_size_is_twice_the_numbers():
    picture = bar(4)
    larger = picture.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for measure in (stroke_thickness, shape_height, shape_width):
        torch.testing.assert_close(measure(larger), 2 * measure(picture))
    torch.testing.assert_close(ink(larger), 4 * ink(picture))
    picture = blob()
    larger = picture.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(shape_height(larger), 2 * shape_height(picture))
    assert shape_width(larger).item() == pytest.approx(2 * shape_width(picture).item(), rel=0.01)
    assert slant(larger).item() == pytest.approx(slant(picture).item(), abs=0.2)


@pytest.mark.parametrize("measure", ALL)
def test_the_place_does_not_matter(measure):
    picture = blob()
    torch.testing.assert_close(measure(picture.roll((3, -4), (2, 3))), measure(picture))


@pytest.mark.parametrize("measure", ALL)
def test_one_batch_or_many_is_the_same(measure):
    pictures = torch.cat([blob(k) for k in range(3)] + [bar(3), canvas()])
    alone = torch.cat([measure(picture[None]) for picture in pictures])
    torch.testing.assert_close(measure(pictures), alone, equal_nan=True)


@pytest.mark.parametrize("measure", [slant, stroke_thickness, shape_height, shape_width])
def test_brightness_does_not_matter(measure):
    torch.testing.assert_close(measure(0.3 * blob()), measure(blob()))


@pytest.mark.parametrize("measure", ALL)
def test_an_empty_picture_has_no_properties(measure):
    found = measure(torch.cat([canvas(), bar(2)]))
    assert found.dtype == torch.float64
    assert found.isnan().tolist() == [True, False]
    assert measure(torch.empty(0, 1, 8, 8)).shape == (0,)


def test_one_row_has_no_slant_but_a_length():
    picture = canvas()
    picture[..., 7, 4:24] = 0.37
    assert slant(picture).isnan().all()
    assert shape_width(picture).item() == pytest.approx(0.98 * 20)
    assert shape_height(picture).item() == pytest.approx(0.98)


@pytest.mark.parametrize("measure", ALL)
def test_colours_are_refused(measure):
    with pytest.raises(ValueError, match=r"one channel.*average the channels"):
        measure(torch.rand(2, 3, 8, 8))
