"""Which changes leave an image of its class: found with a linear classifier."""

import pytest
import torch

from lightning_ecinn.datamodules import MNIST, DrawnFaces, FakeMNIST
from lightning_ecinn.datamodules.batches.recognition import Recognition, recognise


def bars(count, place, *, channels=1, side=12):
    """Noise with a bar at the left or right, top or bottom of every other image."""
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(60, (count, channels, side, side), generator=generator).byte()
    labels = torch.arange(count) % 2
    start, end = place
    images[labels == 0, 0, start] = 200
    images[labels == 1, 0, end] = 200
    return images, labels


@pytest.mark.parametrize("channels", [1, 3])
def test_what_lies_above_or_below_can_be_mirrored_and_what_lies_left_or_right_cannot(channels):
    images, labels = bars(300, (slice(2, 5), slice(7, 10)), channels=channels)
    assert recognise(images, labels).keeps("mirrored")
    sideways = recognise(images.mT, labels)
    assert sideways.mirrored < 0 < 0.9 < sideways.plain
    assert not sideways.keeps("mirrored")
    assert sideways.keeps("moved")


def test_a_class_in_a_single_line_of_pixels_cannot_be_moved():
    images, labels = bars(300, (3, 4))
    assert not recognise(images, labels).keeps("moved")


def test_more_pixels_than_images_and_more_images_than_pixels_give_the_same_classifier():
    images, labels = bars(300, (slice(2, 5), slice(7, 10)))
    wide = images.repeat_interleave(2, dim=3)  # every pixel twice: 200 images, 288 pixels
    for one, other in zip(recognise(images, labels), recognise(wide, labels), strict=True):
        assert one == pytest.approx(other, abs=0.03)


def test_of_classes_that_it_does_not_know_nothing_is_concluded():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (400, 1, 8, 8), generator=generator).byte()
    found = recognise(images, torch.arange(400) % 2)
    assert not found.keeps("mirrored")
    assert not found.keeps("moved")
    assert found.describe("moved") == "a linear classifier knows too little to judge moved images"


def test_skill_does_not_depend_on_how_large_the_classes_are():
    images, labels = bars(600, (slice(2, 5), slice(7, 10)))
    kept = (labels == 0) | (torch.arange(600) % 10 == 1)
    assert recognise(images[kept], labels[kept]).plain > 0.9


@pytest.mark.parametrize("count", [1, 2, 7])
def test_very_few_images_break_nothing(count):
    images, labels = bars(count, (slice(2, 5), slice(7, 10)))
    assert isinstance(recognise(images, labels), Recognition)


def test_the_projects_own_data_are_known_for_what_they_are():
    digits = MNIST(source="sample")
    faces = DrawnFaces(num_train=600, num_test=10, val_size=60)
    fake = FakeMNIST(source="sample")
    assert [data.recognition.keeps("mirrored") for data in (digits, fake, faces)] == [
        False,
        False,
        True,
    ]
    assert [data.recognition.keeps("moved") for data in (digits, fake, faces)] == [
        True,
        False,
        True,
    ]
    assert "of its skill on mirrored images" in digits.recognition.describe("mirrored")


def test_a_data_module_that_is_told_does_not_ask():
    told = DrawnFaces(num_train=600, num_test=10, val_size=60, flip=True, max_shift=2)
    assert (told.mirrors, told.moves_by) == (True, 2)
    assert "recognition" not in vars(told)
    asked = DrawnFaces(num_train=600, num_test=10, val_size=60, flip=None, max_shift=None)
    sampler = asked.train_dataloader().sampler
    assert (sampler.flip, sampler.max_shift) == (asked.mirrors, asked.moves_by) == (True, 1)
