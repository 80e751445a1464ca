"""Which class is asked for of which image, and what is wrong with a file."""

import numpy as np
import pytest
import torch

from lightning_ecinn.evaluation import choose_targets, read_images

LABELS = np.arange(40) % 10


def test_random_targets_depend_on_the_seed_and_the_image_alone():
    pairs = choose_targets("random", LABELS, 10, seed=3)
    assert pairs.index.tolist() == list(range(40))
    assert (pairs.target != LABELS).all()
    assert pairs.target.min() >= 0
    assert pairs.target.max() < 10
    few = choose_targets("random", LABELS, 10, seed=3, count=7)
    assert few.target.tolist() == pairs.target[:7].tolist()
    assert choose_targets("random", LABELS, 10, seed=4).target.tolist() != pairs.target.tolist()


def test_random_targets_are_uniform_over_the_other_classes():
    target = choose_targets("random", np.zeros(4000, dtype=int), 5).target
    counts = np.bincount(target, minlength=5)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 1000).max() < 5 * np.sqrt(1000 * 0.75)


def test_all_targets_are_every_class_of_every_image():
    pairs = choose_targets("all", LABELS, 3, count=2)
    assert list(zip(pairs.index, pairs.target, strict=True)) == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2),
    ]  # fmt: skip


def test_targets_from_an_archive(tmp_path):
    target = (LABELS + 1).astype(np.int8) % 10
    np.savez(tmp_path / "t.npz", **{"a/target": target, "a/source": LABELS, "b/target": target})
    pairs = choose_targets(f"{tmp_path}/t.npz:a", LABELS, 10, count=5)
    assert pairs.index.tolist() == [0, 1, 2, 3, 4]
    assert pairs.target.tolist() == [1, 2, 3, 4, 5]
    assert pairs.source.tolist() == [0, 1, 2, 3, 4]
    assert choose_targets(f"{tmp_path}/t.npz:b", LABELS, 10).source is None


def test_targets_from_a_table_come_in_the_order_of_the_images(tmp_path):
    path = tmp_path / "targets.csv"
    path.write_text("target,note,index\n4,x,9\n1,y,2\n0,z,2\n5,,30\n")
    pairs = choose_targets(str(path), LABELS, 10, count=20)
    assert list(zip(pairs.index, pairs.target, strict=True)) == [(2, 0), (2, 1), (9, 4)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,class\n1,2\n", "needs the columns index and target, got index, class"),
        ("index,target\n1,two\n", "line 2 does not hold two whole numbers"),
        ("index,target\n1\n", "line 2 does not hold two whole numbers"),
        ("index,target\n", "the table is empty"),
        ("index,target\n40,2\n", "index goes from 40 to 40, but the images are numbered 0 to 39"),
        ("index,target\n1,10\n", "target goes from 10 to 10, but the classes are 0 to 9"),
        ("index,target\n1,2\n1,2\n", "a line is there twice"),
        ("index,target\n39,2\n", "no line is for one of the first 5 images"),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path, text, message):
    path = tmp_path / "targets.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        choose_targets(str(path), LABELS, 10, count=5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"target": LABELS[:-1]}, "target has 39 values, but there are 40 images"),
        ({"target": LABELS, "source": LABELS[:1]}, "source has 1 values"),
        ({"target": LABELS + 1}, "target goes from 1 to 10"),
        ({"target": LABELS / 2}, "target must be whole numbers"),
        ({"label": LABELS}, "there is no target in it, only label"),
        ({"mnist/target": LABELS}, "PATH.npz:PREFIX chooses"),
    ],
)
def test_what_is_wrong_with_an_archive(tmp_path, arrays, message):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        choose_targets(f"{tmp_path}/t.npz", LABELS, 10)


def test_no_file_and_no_archive(tmp_path):
    for name in ("nothing.npz", "nothing.npz:mnist", "nothing.csv", "randon"):
        with pytest.raises(FileNotFoundError, match="there is no such file"):
            choose_targets(str(tmp_path / name), LABELS, 10)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    (tmp_path / "empty.npz").touch()
    for name in ("torn.npz", "empty.npz"):
        with pytest.raises(ValueError, match=r"no \.npz file of numbers"):
            choose_targets(str(tmp_path / name), LABELS, 10)


def test_images_of_both_layouts(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (5, 4, 6), dtype=np.uint8)
    np.savez(tmp_path / "i.npz", images=grey, labels=LABELS[:5].astype(np.int8))
    images, labels = read_images(f"{tmp_path}/i.npz")
    assert torch.equal(images, torch.from_numpy(grey)[:, None])
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, 1, 2, 3, 4]
    colour = np.stack([grey, grey // 2, grey // 3], axis=-1)
    np.savez(tmp_path / "c.npz", **{"x/images": colour, "x/labels": LABELS[:5]})
    images, _ = read_images(f"{tmp_path}/c.npz:x")
    assert images.shape == (5, 3, 4, 6)
    assert torch.equal(images[:, 1], torch.from_numpy(grey // 2))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 4, 4)), "labels": [0, 1]}, "images must be uint8"),
        ({"images": np.zeros((2, 16), np.uint8), "labels": [0, 1]}, r"uint8 of shape \(2, 16\)"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": [0]}, "one for each of 2 images"),
        ({"images": np.zeros((2, 4, 4), np.uint8)}, "there is no labels in it"),
    ],
)
def test_what_is_wrong_with_images(tmp_path, arrays, message):
    np.savez(tmp_path / "i.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_images(f"{tmp_path}/i.npz")
