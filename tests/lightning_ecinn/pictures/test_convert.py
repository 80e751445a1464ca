"""Pictures of any kind become images of a model's shape, as the data set's reader makes them."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_ecinn.pictures.convert import as_images, read_picture
from lightning_ecinn.pictures.decode import decode

GREY, COLOUR = (1, 16, 16), (3, 16, 16)
PHOTO = np.random.default_rng(0).integers(0, 256, (40, 30, 3)).astype(np.uint8)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(PHOTO).save(path)
    return path


@pytest.mark.parametrize("shape", [GREY, COLOUR])
@pytest.mark.parametrize("crop", [True, False])
def test_path_picture_and_array_are_the_same_picture(photo, shape, crop):
    expected = torch.from_numpy(decode(photo.read_bytes(), 16, shape[0], crop).copy()).unsqueeze(0)
    for picture in (photo, str(photo), Image.open(photo), PHOTO, [photo], (PHOTO,), PHOTO[None]):
        found = as_images(picture, shape, crop)
        assert found.dtype == torch.uint8
        assert torch.equal(found, expected)


def test_what_has_the_shape_stays_as_it_is():
    floats = torch.rand(2, *COLOUR, dtype=torch.float64)
    assert as_images(floats, COLOUR) is floats
    assert torch.equal(as_images(floats[0], COLOUR), floats[:1])
    assert torch.equal(as_images(floats.numpy(), COLOUR), floats)
    assert torch.equal(as_images(floats.permute(0, 2, 3, 1).numpy(), COLOUR), floats)
    assert torch.equal(as_images(list(floats), COLOUR), floats)
    grey = torch.rand(3, 16, 16)
    assert torch.equal(as_images(grey.numpy(), GREY), grey.unsqueeze(1))
    assert torch.equal(as_images(grey[0].numpy(), GREY), grey[:1].unsqueeze(1))


def test_grey_levels_of_other_kinds():
    ramp = np.linspace(0, 1, 256).reshape(16, 16)
    eight = (ramp * 255).round().astype(np.uint8)
    sixteen = (ramp * 65535).round().astype(np.uint16)
    expected = torch.from_numpy(eight)[None, None]
    assert torch.equal(as_images(sixteen, GREY), expected)
    assert torch.equal(as_images(np.stack([sixteen] * 3, 2), GREY), expected)
    large = as_images(ramp.repeat(2, 0).repeat(2, 1), GREY)  # floats that have to be resized
    assert large.dtype == torch.uint8
    assert (large.int() - expected.int()).abs().max() <= 12  # the filter blurs a little


def test_what_is_transparent_becomes_white():
    clear = np.zeros((16, 16, 4), np.uint8)
    assert (as_images(clear, COLOUR) == 255).all()
    assert (as_images(Image.fromarray(clear), GREY) == 255).all()


def test_a_list_of_bytes_and_floats_becomes_floats():
    mixed = as_images([torch.ones(GREY), np.full((16, 16), 255, np.uint8)], GREY)
    assert mixed.dtype == torch.float32
    assert (mixed == 1).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((16, 16), np.int32), "An array of int32 has grey levels of no known range"),
        (np.zeros((16, 16), bool), "An array of bool has grey levels of no known range"),
        (np.full((16, 16), 3.0), "in .0, 1. without NaN, got values from 3 to 3: divide by 255"),
        (np.full((9, 9), math.nan), "without NaN"),
        (np.zeros(7), r"An array of shape \(7,\) is no picture and no batch"),
        (np.zeros((2, 2, 5, 5, 3)), r"An array of shape \(2, 2, 5, 5, 3\) is no picture"),
        (np.zeros((0, 16, 16)), r"An array of shape \(0, 16, 16\) is no picture"),
        ([torch.zeros(GREY), torch.zeros(5, 5)], r"Picture 1 of the list, Tensor, is none of shap"),
        ([None], "Picture 0 of the list, NoneType, is none of this type: give paths"),
        (Image.new("F", (9, 9)), "its grey levels are fractions"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(array, message):
    with pytest.raises(ValueError, match=message) as error:
        as_images(array, GREY)
    assert "\n" not in str(error.value)


def test_what_cannot_be_read_says_its_path(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    for name, why in (
        ("text.png", "cannot identify it as a picture"),
        ("missing.png", "there is no such file"),
        ("", "it is a folder: read_images reads folders"),
        ("text.png/below.png", "Not a directory"),
    ):
        with pytest.raises(ValueError, match=why) as error:
            read_picture(tmp_path / name, GREY)
        assert str(error.value).startswith(f"The picture {tmp_path / name} cannot be read: ")


def test_other_things_are_left_to_whoever_checks():
    for thing in (None, 3, {}, [], torch.zeros(5)):
        assert as_images(thing, GREY) is thing
