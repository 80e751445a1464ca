"""Pictures as floats, and the checks of what comes from outside."""

import math

import pytest
import torch

from lightning_ecinn.models.inputs import (
    as_float,
    check_images,
    check_pixels,
    checked_classes,
    checked_images,
)

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_grey_levels_are_divided_by_255():
    assert torch.equal(as_float(LEVELS), LEVELS / 255)
    assert torch.equal(as_float(LEVELS, torch.float64), LEVELS.double() / 255)
    assert torch.equal((as_float(LEVELS) * 255).round().byte(), LEVELS)


def test_float_pictures_stay_as_they_are():
    x = torch.rand(4)
    assert as_float(x) is x
    assert as_float(x, torch.float32) is x
    assert torch.equal(as_float(x, torch.float64), x.double())


def test_images():
    good = torch.zeros(2, 1, 4, 4)
    check_images(good)
    check_images(good.byte(), (1, 4, 4))
    for images, message in (
        (good[0], r"must be \(B, C, H, W\), got \(1, 4, 4\)"),
        (good[:0], "at least one image"),
        (good.numpy(), "got ndarray: use torch.as_tensor"),
        (good + 2, "values from 2 to 2: divide by 255"),
    ):
        with pytest.raises(ValueError, match=message):
            check_images(images)
    with pytest.raises(ValueError, match=r"must be \(B, 3, 4, 4\)"):
        check_images(good, (3, 4, 4))


def test_checked_images_have_the_precision_of_the_model():
    like, grey = torch.zeros(1, dtype=torch.float64), torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    assert checked_images(grey, (1, 4, 4), like).dtype == torch.uint8
    assert checked_images(grey.float(), (1, 4, 4), like).dtype == torch.float64
    with pytest.raises(ValueError, match=r"must be \(B, 1, 4, 4\)"):
        checked_images(grey[0], (1, 4, 4), like)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.tensor([0, 1]), "baselines must be uint8 in 0..255 or float .*torch.int64"),
        (torch.tensor([0.0, math.nan]), "baselines must lie in .* without NaN"),
        (torch.tensor([-0.5, 1.0]), "values from -0.5 to 1"),
    ],
)
def test_pixels_are_called_by_their_name(pixels, message):
    with pytest.raises(ValueError, match=message):
        check_pixels(pixels, "baselines")


def test_classes():
    cpu = torch.device("cpu")
    for classes in (2, [0, 2], torch.tensor([[1]], dtype=torch.uint8), torch.empty(0).long()):
        given = checked_classes(classes, "target", 3, cpu)
        assert given.dtype == torch.int64
        assert given.tolist() == (classes.tolist() if torch.is_tensor(classes) else classes)
    for classes, message in (
        (3, "target must be a class from 0 to 2, got 3 to 3"),
        ([-1, 0], "got -1 to 0"),
        (0.5, "target must be whole numbers, got torch.float"),
        (True, "got torch.bool"),
    ):
        with pytest.raises(ValueError, match=message):
            checked_classes(classes, "target", 3, cpu)
