"""Every kind of picture becomes the small square it should be."""

import numpy as np
import pytest
from picture_files import encoded, picture
from PIL import Image

from lightning_ecinn.pictures.decode import decode


def gradient(width, height):
    """Grey level = column."""
    return np.tile(np.arange(width, dtype=np.uint8), (height, 1))


def test_the_central_square_is_cut_out_or_everything_is_squeezed():
    pixels = np.zeros((20, 60), np.uint8)
    pixels[:, 20:40] = 200
    content = encoded(Image.fromarray(pixels), "PNG")

    assert (decode(content, 10, 1) == 200).all()
    assert (decode(content, 10, 1, False)[0, :, [0, -1]] == 0).all()
    upright = encoded(Image.fromarray(pixels.T), "PNG")
    assert (decode(upright, 10, 1) == 200).all()


def test_shrinking_does_not_alias():
    stripes = np.zeros((96, 96), np.uint8)
    stripes[:, ::2] = 255
    assert abs(decode(encoded(Image.fromarray(stripes), "PNG"), 8, 1).astype(int) - 127).max() <= 5


@pytest.mark.parametrize("channels", [1, 3])
def test_large_jpegs_decoded_at_a_fraction_look_like_those_decoded_whole(channels):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    image = coarse.resize((512, 512), Image.Resampling.BICUBIC)
    jpeg, png = encoded(image, quality=95), encoded(image, "PNG")
    difference = decode(jpeg, 32, channels).astype(int) - decode(png, 32, channels)
    assert abs(difference).mean() < 2


def test_exif_rotation_is_applied():
    image = Image.fromarray(gradient(32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise for display
    turned = decode(encoded(image, "PNG", exif=exif), 32, 1)[0]
    assert np.array_equal(turned, gradient(32, 32).T)


def test_grey_and_colour_become_what_is_asked_for():
    colour = Image.new("RGB", (8, 8), (10, 100, 200))
    assert decode(encoded(colour, "PNG"), 4, 3)[:, 0, 0].tolist() == [10, 100, 200]
    luma = round(0.299 * 10 + 0.587 * 100 + 0.114 * 200)
    assert abs(int(decode(encoded(colour, "PNG"), 4, 1)[0, 0, 0]) - luma) <= 1
    grey = encoded(picture(77, (8, 8), "L"), "PNG")
    assert decode(grey, 4, 3)[:, 0, 0].tolist() == [77, 77, 77]
    assert (decode(encoded(colour.convert("P"), "PNG"), 4, 3)[2] >= 180).all()
    assert decode(encoded(colour.convert("CMYK")), 4, 3).shape == (3, 4, 4)
    assert (decode(encoded(Image.new("1", (8, 8), 1), "PNG"), 4, 1) == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_white(mode):
    image = picture(50, (8, 8)).convert(mode)
    image.putalpha(0)
    assert (decode(encoded(image, "PNG"), 4, 3) == 255).all()
    image.putalpha(255)
    assert (decode(encoded(image, "PNG"), 4, 3) == 50).all()


def test_a_transparent_colour_of_a_palette_is_white():
    image = picture(50, (8, 8), "L").convert("P")
    content = encoded(image, "PNG", transparency=image.getpixel((0, 0)))
    assert (decode(content, 4, 3) == 255).all()


def test_16_bits_become_8_without_clipping():
    levels = np.full((8, 8), 257 * 130, np.uint16)
    assert (decode(encoded(Image.fromarray(levels), "PNG"), 4, 1) == 130).all()
    assert (decode(encoded(Image.fromarray(levels), "TIFF"), 4, 3) == 130).all()
    white = Image.fromarray(np.full((8, 8), 65535, np.uint16))
    assert (decode(encoded(white, "PNG"), 4, 1) == 255).all()


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (Image.fromarray(np.ones((8, 8), np.float32)), "fractions"),
        (Image.fromarray(np.full((8, 8), 70000, np.int32)), "16 bits"),
    ],
)
def test_what_has_no_known_range_is_refused(image, why):
    with pytest.raises(ValueError, match=why):
        decode(encoded(image, "TIFF"), 4, 1)
