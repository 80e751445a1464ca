"""FakeMNIST: the class is one known pixel, drawn evenly and whatever the digit."""

import pytest
import torch

from lightning_ecinn.datamodules import MNIST, FakeMNIST

CHI2_9_999 = 27.88
"""99.9 % quantile of chi-square with 9 degrees of freedom."""
CHI2_81_999 = 126.08
"""99.9 % quantile of chi-square with 81 degrees of freedom."""

FIRST_TRAIN_LABELS = [1, 7, 6, 4, 7, 5, 9, 4, 9, 5, 4, 2]
FIRST_TEST_LABELS = [8, 0, 8, 5, 0, 0, 6, 9, 4, 7, 0, 7]


@pytest.fixture(scope="module")
def digits():
    return {train: MNIST(source="sample").load(train) for train in (True, False)}


@pytest.fixture(scope="module")
def fakes():
    return {train: FakeMNIST(source="sample").load(train) for train in (True, False)}


def chi_square(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("train", [True, False])
def test_labels_are_uniform_and_independent_of_the_digit(digits, fakes, train):
    labels, digit = fakes[train][1], digits[train][1]
    assert chi_square(labels.bincount(minlength=10), len(labels) / 10) < CHI2_9_999

    table = (10 * digit + labels).bincount(minlength=100).reshape(10, 10).double()
    expected = table.sum(1, keepdim=True) * table.sum(0, keepdim=True) / table.sum()
    assert chi_square(table, expected) < CHI2_81_999


def test_labels_depend_on_label_seed_and_split_alone(fakes):
    labels = fakes[True][1]
    assert torch.equal(FakeMNIST(source="sample", seed=5).load(True)[1], labels)
    assert not torch.equal(FakeMNIST(source="sample", label_seed=1).load(True)[1], labels)
    assert not torch.equal(fakes[False][1], labels[:3000])


def test_labels_stay_the_same_in_every_version(fakes):
    assert fakes[True][1][:12].tolist() == FIRST_TRAIN_LABELS
    assert fakes[False][1][:12].tolist() == FIRST_TEST_LABELS


@pytest.mark.parametrize("train", [True, False])
def test_only_the_ten_pixels_differ_and_they_spell_the_label(digits, fakes, train):
    (images, _), (fake_images, labels) = digits[train], fakes[train]
    column = fake_images[:, 0, :10, 0]
    assert torch.equal(column, 255 * torch.nn.functional.one_hot(labels, 10).byte())

    restored = fake_images.clone()
    restored[:, 0, :10, 0] = images[:, 0, :10, 0]
    assert torch.equal(restored, images)


def test_mnists_own_arrays_are_not_touched(monkeypatch):
    images, labels = torch.full((50, 1, 28, 28), 7, dtype=torch.uint8), torch.zeros(50).long()
    monkeypatch.setattr(MNIST, "load", lambda self, train: (images, labels))
    fake_images, fake_labels = FakeMNIST(source="sample").load(train=True)

    assert (images == 7).all()
    assert (labels == 0).all()
    assert fake_labels.unique().numel() > 5
    assert (fake_images[:, 0, :10, 0] != 7).all()
    assert (fake_images[:, 0, 10:] == 7).all()


def test_mask_is_the_two_pixels_for_one_pair_and_for_many():
    data = FakeMNIST(source="sample")
    assert data.class_pixels.shape == (10, 1, 28, 28)
    assert data.class_pixels.sum() == 10
    assert data.mask(3, 8).nonzero().tolist() == [[0, 3, 0], [0, 8, 0]]

    p, q = torch.tensor([0, 9, 4]), torch.tensor([1, 2, 4])
    masks = data.mask(p, q)
    assert masks.dtype == torch.bool
    assert masks.shape == (3, 1, 28, 28)
    for mask, one, other in zip(masks, p.tolist(), q.tolist(), strict=True):
        assert torch.equal(mask, data.mask(one, other))
    assert masks[2].sum() == 1


def test_the_changed_pixels_are_the_mask_in_every_image():
    data = FakeMNIST(source="sample")
    p, q = torch.tensor([0, 9]), torch.tensor([1, 2])
    changed = data.changed_pixels("test", torch.tensor([5, 6]), p, q)
    assert torch.equal(changed, data.mask(p, q))


def test_the_splits_keep_images_and_labels_together():
    data = FakeMNIST(source="sample", max_shift=0)
    data.setup("fit")
    for split in ("train", "val"):
        dataset = data.dataset(split)
        assert torch.equal(dataset.images[:, 0, :10, 0].argmax(1), dataset.labels)


def test_label_seed_is_checked():
    with pytest.raises(ValueError, match="label_seed is -1"):
        FakeMNIST(label_seed=-1)


def test_without_a_shortcut_nothing_is_written_on_the_right(fakes, digits):
    right = digits[False][0][:, :, :10, -1]
    assert torch.equal(fakes[False][0][:, :, :10, -1], right)


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 1, 1), (0.0, 0, 0), (0.7, 0.6, 0.8)])
def test_a_shortcut_names_the_label_in_so_many_images(fakes, share, least, most):
    images, labels = FakeMNIST(source="sample", shortcut=share).load(False)
    assert torch.equal(labels, fakes[False][1])
    right = images[:, 0, :10, -1]
    assert ((right == 255).sum(1) == 1).all()
    assert ((right == 0).sum(1) == 9).all()
    assert least <= (right.argmax(1) == labels).float().mean() <= most
    assert torch.equal(images[..., :-1], fakes[False][0][..., :-1])


@pytest.mark.parametrize("shortcut", [None, 0.5])
def test_factors_are_the_label_and_the_shortcut_each_switched_alone(shortcut):
    data, indices = FakeMNIST(source="sample", shortcut=shortcut), torch.arange(6)
    images, labels, _ = data.dataset("test")[indices]
    factors = data.factors("test", indices)
    assert list(factors) == ["label", *(["shortcut"] if shortcut else [])]
    switched = factors["label"].switched
    assert (switched[:, 0, :10, 0].argmax(1) == (labels + 1) % 10).all()
    assert torch.equal(switched[..., 1:], images[..., 1:])
    assert factors["label"].pixels.sum((1, 2, 3)).tolist() == [10] * 6
    if shortcut:
        other = factors["shortcut"].switched
        assert torch.equal(other[..., :-1], images[..., :-1])
        assert (other[:, 0, :10, -1].argmax(1) != images[:, 0, :10, -1].argmax(1)).all()


def test_a_shortcut_is_a_share():
    with pytest.raises(ValueError, match=r"shortcut"):
        FakeMNIST(source="sample", shortcut=2.0)
