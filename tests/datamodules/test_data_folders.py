"""Pictures whose folders are their labels, without a table."""

import zipfile

import pytest
import torch
from picture_files import encoded, picture

from lightning_ecinn.datamodules import LabelledImages


def write(root, names, as_zip=False):
    """Pictures whose grey level is their number."""
    if as_zip:
        with zipfile.ZipFile(root, "w") as archive:
            for i, name in enumerate(names):
                archive.writestr(name, encoded(picture(10 * i), "PNG"))
        return root
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(picture(10 * i), "PNG"))
    return root


def images(root, tmp_path, **settings):
    return LabelledImages(str(root), None, resolution=16, cache=str(tmp_path / "cache"), **settings)


CATS = [f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(6)]


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("around", ["", "photos/", "a/b/"])
def test_the_first_folders_that_differ_are_the_labels(tmp_path, as_zip, around):
    names = [around + name for name in CATS] + [around + "cat/deep/er/7.png"]
    extra = ["__MACOSX/cat/1.png", f"{around}.thumbs/1.png"]
    root = write(tmp_path / ("p.zip" if as_zip else "p"), [*names, *extra], as_zip)
    if not as_zip:
        (root / around / "cat" / "notes.txt").write_text("no picture")
    data = images(root, tmp_path)
    assert data.class_names == ["cat", "dog"]
    counts = [len(data.dataset(split)) for split in ("train", "val", "test")]
    assert sum(counts) == 13
    assert min(counts) >= 1


def test_folders_above_may_name_the_splits(tmp_path):
    names = [f"{split}/{name}" for split in ("train", "Test") for name in CATS]
    data = images(write(tmp_path / "p", names), tmp_path, val_share=0.25)
    assert data.class_names == ["cat", "dog"]
    assert [len(data.dataset(split)) for split in ("train", "val", "test")] == [9, 3, 12]
    pictures, labels, _ = data.dataset("test")[torch.arange(12)]
    # Sorted by name: Test before train; the first picture of train is the 13th.
    assert labels.tolist() == [0] * 6 + [1] * 6
    assert pictures[:, 0, 0, 0].tolist() == [(120 + 10 * i) % 256 for i in range(12)]


def test_words_of_splits_may_be_classes(tmp_path):
    names = [f"{kind}/{i}.png" for kind in ("test", "train") for i in range(4)]
    assert images(write(tmp_path / "p", names), tmp_path).class_names == ["test", "train"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1.png", "2.png"], r"csv is null, .* has no folders with pictures: give the name of"),
        (["cat/notes.txt"], "has no folders with pictures"),
        (["cat/1.png", "cat/2.png"], "holds one label only, 'cat'"),
    ],
)
def test_what_has_no_classes_is_refused(tmp_path, names, said):
    with pytest.raises(ValueError, match=said):
        images(write(tmp_path / "p", names), tmp_path)


def test_where_there_is_no_table_folders_are_offered(tmp_path):
    root = write(tmp_path / "p", CATS)
    with pytest.raises(FileNotFoundError, match="Null takes the names of folders as labels"):
        LabelledImages(str(root))
