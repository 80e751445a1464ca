"""CelebA as Kaggle and its own release have it, packed or not."""

import shutil

import pytest
from picture_files import write_celeba, zipped

from lightning_ecinn.datamodules import CelebAHQ


def data(root):
    cache = root.parent / "cache"
    return CelebAHQ(str(root), resolution=32, cache=str(cache))


def splits(module):
    """Grey levels of each split's pictures, in tens."""
    return [
        [round(level / 10) for level in module.dataset(split).images[:, 0, 16, 16].tolist()]
        for split in ("train", "val", "test")
    ]


def as_csv(text, header=None):
    """A table with commas, as Kaggle has it; CelebA's own count of pictures is left out."""
    lines = [",".join(line.split()) for line in text.splitlines()]
    first = f"image_id,{header or lines[1]}"
    return "\r\n".join([first, *lines[0 if header else 2 :]]) + "\r\n"


def as_kaggle(root, ending=".csv"):
    """Turn a CelebA into Kaggle's: CSV tables and a folder in a folder."""
    for name, header in (("list_attr_celeba", None), ("list_eval_partition", "partition")):
        table = root / f"{name}.txt"
        content = as_csv(table.read_text(), header)
        table.unlink()
        (root / f"{name}{ending}").write_bytes(content.encode())
    (root / "list_bbox_celeba.csv").write_text("image_id,x_1\n")
    (root / "img_align_celeba").rename(root / "inner")
    (root / "img_align_celeba").mkdir()
    (root / "inner").rename(root / "img_align_celeba" / "img_align_celeba")
    return root


def as_released(root, packed):
    """Turn a CelebA into that of its own release, whose pictures may still be packed."""
    for folder in ("Anno", "Eval", "Img"):
        (root / folder).mkdir()
    (root / "list_attr_celeba.txt").rename(root / "Anno" / "list_attr_celeba.txt")
    (root / "list_eval_partition.txt").rename(root / "Eval" / "list_eval_partition.txt")
    images = (root / "img_align_celeba").rename(root / "Img" / "img_align_celeba")
    if packed:
        zipped(images, root / "Img" / "img_align_celeba.zip", "img_align_celeba/")
        shutil.rmtree(images)
    return root


FORMS = {
    "Kaggle's": as_kaggle,
    "tables renamed": lambda root: as_kaggle(root, ".txt"),
    "the release": lambda root: as_released(root, packed=False),
    "the release, packed": lambda root: as_released(root, packed=True),
    "all packed": lambda root: zipped(as_kaggle(root), root.parent / "archive.zip"),
    "all packed, in a folder": lambda root: zipped(
        as_released(root, packed=False), root.parent / "archive.zip", "CelebA/"
    ),
}


@pytest.mark.parametrize("below", ["", "archive"])
@pytest.mark.parametrize("form", FORMS)
def test_celeba_in_every_form_that_people_have(tmp_path, form, below):
    root = write_celeba(tmp_path / "data" / below, [1, 2, 3], split=[2, 0, 1])
    place = FORMS[form](root)
    module = data(place if place.is_file() else tmp_path / "data")
    assert splits(module) == [[4], [5], [3]]  # grey level 10 number + 20
    assert module.dataset("test").labels.tolist() == [1]


@pytest.mark.parametrize(
    ("table", "damage", "message"),
    [
        ("list_attr_celeba", lambda t: t.replace("000001", "../000001"), "without folders"),
        ("list_attr_celeba", lambda t: t.replace("000001", "000002"), "has pictures twice"),
        ("list_eval_partition", lambda t: t.replace("jpg,1", "jpg,7"), "partition.* is damaged"),
        ("list_eval_partition", lambda t: "", "partition.* is damaged"),
    ],
)
def test_damaged_tables_of_celeba(tmp_path, table, damage, message):
    root = as_kaggle(write_celeba(tmp_path / "celeba", [1, 2, 3], split=[2, 0, 1]))
    path = root / f"{table}.csv"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=message):
        data(root).prepare_data()
