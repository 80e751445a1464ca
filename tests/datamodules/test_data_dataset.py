"""A batch is one index operation on uint8, and a translation is what a loop per image gives."""

import pytest
import torch

from lightning_ecinn.datamodules import ImageArrays
from lightning_ecinn.datamodules.batches.dataset import AugmentedIndices, translate


def random_images(n=6, channels=3, height=7, width=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (n, channels, height, width), generator=generator).byte()


def translate_by_loop(images, shifts):
    moved = torch.empty_like(images)
    _, _, height, width = images.shape
    for image, out, (down, right) in zip(images, moved, shifts.tolist(), strict=True):
        for row in range(height):
            for column in range(width):
                old_row = min(max(row - down, 0), height - 1)
                old_column = min(max(column - right, 0), width - 1)
                out[:, row, column] = image[:, old_row, old_column]
    return moved


def test_a_batch_is_a_uint8_copy():
    images, labels = random_images(), torch.arange(6)
    dataset = ImageArrays(images, labels)
    batch = dataset[torch.tensor([4, 0, 4])]

    assert len(dataset) == 6
    assert dataset.images is images
    assert batch.images.dtype == torch.uint8
    assert torch.equal(batch.images, torch.stack([images[4], images[0], images[4]]))
    assert batch.labels.tolist() == batch.indices.tolist() == [4, 0, 4]
    before = images.clone()
    batch.images.zero_(), dataset[3].images.zero_()
    assert torch.equal(images, before)
    assert dataset[3].images.shape == (1, 3, 7, 5)


@pytest.mark.parametrize("most", [0, 1, 4])
def test_translate_equals_a_loop(most):
    images = random_images(n=40)
    generator = torch.Generator().manual_seed(1)
    shifts = torch.randint(-most, most + 1, (40, 2), generator=generator)

    assert torch.equal(translate(images, shifts), translate_by_loop(images, shifts))
    assert translate(images, shifts).dtype == torch.uint8


def test_translate_moves_down_and_right():
    image = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    image[0, 0, 1, 1] = 9
    assert translate(image, torch.tensor([[2, 1]])).nonzero().tolist() == [[0, 0, 3, 2]]


def test_the_dataset_applies_the_shifts_it_is_asked_for():
    images = random_images()
    indices, shifts = torch.tensor([5, 2]), torch.tensor([[1, -2], [0, 3]])
    batch = ImageArrays(images, torch.arange(6))[AugmentedIndices(indices, shifts)]

    assert torch.equal(batch.images, translate_by_loop(images[indices], shifts))
    assert batch.indices.tolist() == [5, 2]


def test_flips_come_before_shifts():
    images = random_images()
    indices, flips = torch.tensor([5, 2, 5]), torch.tensor([True, False, False])
    shifts = torch.tensor([[1, -2], [0, 3], [0, 0]])
    dataset = ImageArrays(images, torch.arange(6))

    flipped = images[indices].clone()
    flipped[0] = images[5].flip(-1)
    assert torch.equal(dataset[AugmentedIndices(indices, flips=flips)].images, flipped)
    both = dataset[AugmentedIndices(indices, shifts, flips)]
    assert torch.equal(both.images, translate_by_loop(flipped, shifts))
    assert both.images.dtype == torch.uint8


def test_a_data_set_may_be_some_rows_of_shared_images():
    images = random_images()
    rows, labels = torch.tensor([4, 1, 5]), torch.tensor([7, 8, 9])
    dataset = ImageArrays(images, labels, rows)
    batch = dataset[torch.tensor([2, 0])]

    assert len(dataset) == 3
    assert torch.equal(batch.images, images[[5, 4]])
    assert batch.labels.tolist() == [9, 7]
    assert batch.indices.tolist() == [2, 0]
    assert torch.equal(dataset.images, images[[4, 1, 5]])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (random_images().float(), torch.arange(6), "images of type torch.float32"),
        (random_images()[0], torch.arange(3), r"images of shape \(3, 7, 5\)"),
        (random_images(), torch.arange(5), r"labels of shape \(5,\): .* one label per image"),
        (random_images(1), torch.tensor(0), r"labels of shape \(\): .* one label per image"),
        (random_images(), torch.arange(6) / 2, "no whole numbers"),
    ],
)
def test_arrays_that_cannot_work(images, labels, message):
    with pytest.raises(ValueError, match=f"ImageArrays got .*{message}"):
        ImageArrays(images, labels)


def test_labels_of_any_type_become_int64():
    assert ImageArrays(random_images(), torch.ones(6).bool()).labels.tolist() == [1] * 6
