"""Resolution and channels of picture files that nobody has said."""

from itertools import count

import numpy as np
import pytest
from picture_files import encoded, zipped
from PIL import Image

from lightning_ecinn import LabelledImages
from lightning_ecinn.datamodules.readers.looks import Look, find_channels, find_resolution


def looks(*sizes, is_grey=True):
    return [Look(size, is_grey) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "resolution"),
    [
        ([(28, 28)] * 3, 28),
        ([(28, 28)] * 3 + [(28, 29)], 16),
        ([(32, 40), (500, 33), (20, 900)], 32),
        ([(200, 300)] * 3, 64),
        ([(64, 64), (63, 64)], 32),  # the lower median: nothing is enlarged
        ([(9, 12)], 16),
    ],
)
def test_the_resolution_is_the_median_of_the_shorter_sides_rounded_down(sizes, resolution):
    assert find_resolution(looks(*sizes)) == resolution


def test_one_picture_in_colour_makes_three_channels():
    grey = looks((8, 8), (8, 8))
    assert find_channels(grey) == 1
    assert find_channels([*grey, Look((8, 8), is_grey=False)]) == 3


def write(root, pictures, numbers=None):
    """Pictures, and a table with two classes."""
    root.mkdir(exist_ok=True)
    rows = ["file,label"]
    for number, content in zip(numbers or count(), pictures, strict=False):
        (root / f"{number}.jpg").write_bytes(content)
        rows.append(f"{number}.jpg,{number % 2}")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


def grey(size=(40, 36), kind="JPEG"):
    levels = np.random.default_rng(0).integers(0, 256, size[::-1]).astype(np.uint8)
    return encoded(Image.fromarray(levels).convert("RGB"), kind, quality=80)


def data(root, **settings):
    return LabelledImages(str(root), cache=str(root.parent / "cache"), **settings)


def test_grey_pictures_in_files_for_colour_have_one_channel(tmp_path):
    root = write(tmp_path / "files", [grey()] * 6)
    for place in (root, zipped(root, tmp_path / "files.zip")):
        assert data(place, resolution=None, channels=None).image_shape == (1, 32, 32)
    assert data(root, resolution=16, channels=None).image_shape == (1, 16, 16)
    assert data(root, resolution=None).image_shape == (3, 32, 32)


def test_colour_is_seen(tmp_path):
    red = encoded(Image.new("RGB", (70, 70), (200, 180, 180)))
    root = write(tmp_path / "files", [grey(), red, grey(), grey()])
    assert data(root, resolution=None, channels=None).image_shape == (3, 32, 32)


def test_unreadable_pictures_do_not_count_unless_all_are(tmp_path):
    root = write(tmp_path / "files", [b"nothing", grey(), grey(), b""])
    assert data(root, resolution=None, channels=None).image_shape == (1, 32, 32)
    root = write(tmp_path / "broken", [b"nothing"] * 4)
    with pytest.raises(ValueError, match=r"None of 4 pictures .* can be read .* give pictures"):
        data(root, resolution=None)
