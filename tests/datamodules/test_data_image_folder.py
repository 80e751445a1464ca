"""One's own pictures with a CSV of labels."""

import numpy as np
import pytest
from picture_files import encoded, picture, zipped
from PIL import Image

from lightning_ecinn.datamodules import DataNotFoundError, LabelledImages


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep decoded pictures out of the home directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def root(tmp_path):
    """Twenty pictures in a folder of a folder; picture i is all grey level 10 i."""
    folder = tmp_path / "root" / "scans"
    folder.mkdir(parents=True)
    for i in range(20):
        (folder / f"{i}.png").write_bytes(encoded(picture(10 * i, (20, 12)), "PNG"))
    return tmp_path / "root"


def write(root, labels, name="labels.csv", header="file,label", separator=","):
    rows = [separator.join((f"scans/{i}.png", *row.split("/"))) for i, row in enumerate(labels)]
    (root / name).write_text("\n".join([header, *rows]) + "\n")
    return root


def data(root, **settings):
    return LabelledImages(str(root), **{"resolution": 8, **settings})


def pictures(module, split):
    return [level // 10 for level in module.dataset(split).images[:, 0, 0, 0].tolist()]


def all_pictures(module):
    return [i for split in ("train", "val", "test") for i in pictures(module, split)]


def test_classes_are_the_sorted_labels_and_known_at_once(root):
    module = data(write(root, ["ill", "healthy"] * 10))
    assert module.class_names == ["healthy", "ill"]
    assert module.image_shape == (3, 8, 8)
    for split in ("train", "val", "test"):
        expected = [1 - i % 2 for i in pictures(module, split)]
        assert module.dataset(split).labels.tolist() == expected


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "2"], ["2", "9", "10"]),
        (["0.5", "-1"], ["-1", "0.5"]),
        (["1", "b", "10"], ["1", "10", "b"]),
        (["True", "False"], ["False", "True"]),
    ],
)
def test_numbers_are_sorted_as_numbers(root, labels, names):
    assert data(write(root, labels * 6)).class_names == names


def test_images_are_shared_out_in_proportion_by_the_seed(root):
    write(root, ["a"] * 10 + ["b"] * 10)
    module = data(root, val_share=0.25, test_share=0.2)
    assert [len(module.dataset(split)) for split in ("train", "val", "test")] == [12, 4, 4]
    for split in ("train", "val", "test"):
        assert len(set(module.dataset(split).labels.bincount().tolist())) == 1
    assert sorted(all_pictures(module)) == list(range(20))
    assert all_pictures(data(root, val_share=0.25, test_share=0.2)) == all_pictures(module)
    assert all_pictures(data(root, val_share=0.25, test_share=0.2, seed=1)) != all_pictures(module)


def test_a_column_may_say_the_split(root):
    words = ["Train", "training", "val", "valid", "TEST"] * 4
    write(root, [f"{'ab'[i // 5 % 2]}/{w}" for i, w in enumerate(words)], header="file,label,part")
    module = data(root, split_column="part")
    assert pictures(module, "train") == [i for i in range(20) if i % 5 < 2]
    assert pictures(module, "val") == [i for i in range(20) if i % 5 in (2, 3)]
    assert pictures(module, "test") == [4, 9, 14, 19]


def test_what_the_column_does_not_name_is_held_out_of_the_training_images(root):
    words = ["train"] * 15 + ["test"] * 5
    write(root, [f"{'ab'[i % 2]}/{w}" for i, w in enumerate(words)], header="file,label,part")
    module = data(root, split_column="part", val_share=0.2)
    assert pictures(module, "test") == [15, 16, 17, 18, 19]
    assert len(pictures(module, "val")) == 3
    assert set(pictures(module, "val")) < set(range(15))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_any_names_separators_and_places(root, tmp_path, separator):
    write(root, ["a", "b"] * 10, "t.tsv", separator.join(("Path", "Class")), separator)
    elsewhere = (root / "t.tsv").rename(tmp_path / "elsewhere.tsv")
    columns = {"file_column": "Path", "label_column": "Class"}
    module = data(root, csv=str(elsewhere), **columns)
    assert sorted(all_pictures(module)) == list(range(20))


def test_quotes_and_a_byte_order_mark(root):
    (root / "labels.csv").write_bytes(
        b'\xef\xbb\xbffile,label\r\nscans/0.png,"a, or b"\r\n\r\nscans/1.png,c\r\n'
        b'scans/2.png,"a, or b"\r\nscans/3.png,c\r\n'
    )
    assert data(root).class_names == ["a, or b", "c"]


def test_a_zip_grey_and_squeezed(root, tmp_path):
    write(root, ["a", "b"] * 10)
    wide = np.zeros((10, 30), np.uint8)
    wide[:, :10] = 200
    (root / "scans" / "0.png").write_bytes(encoded(Image.fromarray(wide), "PNG"))
    module = data(zipped(root, tmp_path / "all.zip"), channels=1, crop=False, test_share=0)
    images = module.dataset("train").images
    assert images.shape[1:] == (1, 8, 8)
    assert (images[0, 0, :, 0] > 190).all()  # cropped, nothing of this would be left
    assert (images[0, 0, :, -1] == 0).all()


def test_new_labels_need_no_decoding(root, monkeypatch):
    data(write(root, ["a", "b"] * 10)).prepare_data()
    monkeypatch.setattr("lightning_ecinn.datamodules.readers.cache.decode", None)
    module = data(write(root, ["x", "x", "y", "z"] * 5))
    assert len(module.dataset("train").labels.unique()) == 3


def test_rows_without_a_picture_are_left_out_with_one_warning(root):
    write(root, ["a", "b"] * 12)
    module = data(root)
    with pytest.warns(UserWarning, match=r"left out are scans/20.png, .*\(4 in all\)") as caught:
        module.setup()
    assert len(caught) == 1
    assert sorted(all_pictures(module)) == list(range(20))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"label_column": "lable"},
            r"label_column is 'lable', but .*'file', 'label'; did .*'label'",
        ),
        (
            {"file_column": "path"},
            r"file_column is 'path', but the columns of .* 'file', 'label'\.",
        ),
        ({"split_column": "part"}, "split_column is 'part'"),
        ({"val_share": 1.0}, "val_share is 1.0; give a number from 0 to less than 1"),
        ({"test_share": -0.1}, "test_share is -0.1"),
        ({"channels": 2}, "channels is 2; give 1 for grey or 3 for colour"),
        ({"resolution": 0}, "image_shape"),
    ],
)
def test_settings_that_cannot_work(root, settings, message):
    write(root, ["a", "b"] * 10)
    with pytest.raises(ValueError, match=message):
        data(root, **settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has 0 lines"),
        ("file,label\n", "has 1 lines"),
        ("file,label\na.png,x\na.png,y\n", r"has 'a.png' in row 2 and in row 3"),
        ("file,label\na.png,x\nb.png,\n", r"'label' of .* is empty in row 3"),
        ("file,label\na.png,x\n\nb.png,\nc.png,\n", r"'label' of .* is empty in rows 4, 5: fill"),
        ("file,label\na.png,x\nb.png,nan\n", r"is empty \(or says 'nan'\) in row 3"),
        ("file,label\na.png,NA\nb.png,1\nc.png,\n", r"empty \(or says 'NA'\) in rows 2, 4"),
        ("file,label,label\na.png,x,y\n", "two columns of this name"),
        ("file,label\na.png,1\nb.png,1.0\nc.png,1\n", r"several ways \(1, 1.0\)"),
        ('file,label\na.png,"x' + "x" * 140000 + "\n", r"damaged in row \d+ \(field larger"),
        ("file,label\na.png,x\nb.png,y,z\n", r"Row 3 of .* has 3 values for 2 columns"),
        ("file,label\na.png,x\nb.png,x\n", "one label only, 'x'"),
        ("file,label\na.png,x\nb.png,y\nc.png,z\n", "3 different labels in 3 rows"),
        ("file,label\na.png,\xe4\n".encode("latin-1"), "not text in UTF-8"),
    ],
)
def test_tables_that_cannot_work(root, content, message):
    (root / "labels.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        data(root)


def test_a_split_that_is_none(root):
    write(root, ["a/train", "b/hold"] * 10, header="file,label,part")
    with pytest.raises(ValueError, match=r"labels.csv has a split 'hold'; write one of train, "):
        data(root, split_column="part").prepare_data()


def test_things_that_are_not_there(root, tmp_path):
    with pytest.raises(DataNotFoundError, match=r"csv is 'labels.csv', but .*root has no .* scans"):
        data(root)
    (root / "mine.csv").write_text("file,label\na,x\nb,y\nc,x\nd,y\n")
    with pytest.raises(DataNotFoundError, match=r"it holds mine.csv\."):
        data(root)
    with pytest.raises(
        DataNotFoundError, match=r"None of the 4 .*mine.csv names \(a, b, c, \.\.\."
    ):
        data(root, csv="mine.csv").prepare_data()
    with pytest.raises(DataNotFoundError, match=r"no folder and no zip archive .*nowhere"):
        data(tmp_path / "nowhere")


@pytest.mark.parametrize("classes", ["aab", "ab"])
def test_as_few_pictures_as_there_are_classes(root, classes):
    write(root, list(classes))
    module = data(root, val_share=0)
    assert len(module.dataset("train")) == len(classes)
    assert module.val_dataloader() == []
    with pytest.raises(ValueError, match="is a test image: add some, or change how they are split"):
        module.test_dataloader()
