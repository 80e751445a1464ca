"""CelebA-HQ in every form that people have it, whole and broken."""

import shutil
from itertools import chain

import pytest
import torch
from picture_files import ATTRIBUTES, encoded, picture, write_celeba, write_celeba_hq, zipped

from lightning_ecinn.datamodules import CelebAHQ, DataNotFoundError
from lightning_ecinn.datamodules.readers import cache

ORIGINALS = [0, 162_769, 162_770, 182_636, 182_637, 202_598, 5, 6]
"""Zero-based numbers in CelebA on both sides of both borders of its partition."""


@pytest.fixture
def hq(tmp_path):
    """Eight pictures, 2 and 3 of them for validation, 4 and 5 for testing."""
    return write_celeba_hq(tmp_path / "hq", 8, ORIGINALS)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep decoded pictures out of the home directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def data(root, **settings):
    return CelebAHQ(str(root), resolution=32, **settings)


def pictures(module, split):
    """Numbers of a split's pictures: picture i is grey level 10 i."""
    return [round(level / 10) for level in module.dataset(split).images[:, 0, 16, 16].tolist()]


def splits(module):
    return [pictures(module, split) for split in ("train", "val", "test")]


OFFICIAL = [[0, 1, 6, 7], [2, 3], [4, 5]]


def test_the_description_is_known_without_any_data():
    module = CelebAHQ("nowhere", attribute="High_Cheekbones")
    assert module.image_shape == (3, 64, 64)
    assert module.class_names == ["not high cheekbones", "high cheekbones"]


@pytest.mark.parametrize(
    ("place", "root"),
    [("", ""), ("CelebAMask-HQ", ""), ("anywhere", "anywhere"), ("celeba", "")],
)
def test_a_folder_is_split_as_celeba_is(tmp_path, place, root):
    write_celeba_hq(tmp_path / "data" / place, 8, ORIGINALS)
    module = data(tmp_path / "data" / root)
    assert splits(module) == OFFICIAL
    assert module.dataset("train").labels.tolist() == [0, 1, 0, 1]  # Smiling: odd numbers
    assert module.dataset("test").images.shape == (2, 3, 32, 32)


@pytest.mark.parametrize("below", ["CelebAMask-HQ/", ""])
@pytest.mark.parametrize("name", ["CelebAMask-HQ.zip", "renamed.zip"])
def test_a_zip_is_read_in_place(hq, tmp_path, below, name):
    (tmp_path / "data").mkdir()
    path = zipped(hq, tmp_path / "data" / name, below)
    assert splits(data(path)) == OFFICIAL
    if name == "CelebAMask-HQ.zip":
        assert splits(data(path.parent)) == OFFICIAL
    assert [file.name for file in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("place", ["", "celeba"])
def test_celeba_is_cropped_to_its_central_square(tmp_path, place):
    root = write_celeba(tmp_path / "data" / place, [1, 2, 3], split=[2, 0, 1])
    module = data(tmp_path / "data" if place else root)
    assert splits(module) == [[4], [5], [3]]  # grey level 10 number + 20
    assert (module.dataset("train").images == 40).float().mean() > 0.9
    assert module.dataset("test").labels.tolist() == [1]


def test_celeba_without_its_partition_is_split_by_its_numbers(tmp_path):
    root = write_celeba(tmp_path / "celeba", [162_770, 162_771, 182_637, 182_638])
    assert [len(data(root).dataset(split)) for split in ("train", "val", "test")] == [1, 2, 1]


def test_without_the_mapping_the_split_is_random_and_alike_for_all_attributes(tmp_path):
    root = write_celeba_hq(tmp_path / "hq", 25)
    first = splits(data(root))
    assert [len(part) for part in first] == [21, 2, 2]
    assert sorted(chain(*first)) == list(range(25))
    assert splits(data(root, attribute="No_Beard")) == first
    assert splits(data(root, seed=1)) != first


def test_one_cache_serves_all_attributes(hq, monkeypatch):
    data(hq).prepare_data()
    monkeypatch.setattr(cache, "decode", None)  # cannot be called
    for bit, attribute in enumerate(ATTRIBUTES):
        module = data(hq, attribute=attribute)
        module.prepare_data()
        module.setup()
        for split, numbers in zip(("train", "val", "test"), OFFICIAL, strict=True):
            labels = module.dataset(split).labels.tolist()
            assert labels == [number >> bit & 1 for number in numbers]


def test_the_cache_goes_where_it_is_told_and_leaves_the_data_alone(hq, tmp_path):
    before = sorted(hq.rglob("*"))
    data(hq, cache=str(tmp_path / "mine")).prepare_data()
    data(hq).prepare_data()
    assert len(list((tmp_path / "mine").glob("celebahq-32-*/images.npy"))) == 1
    assert len(list((tmp_path / "xdg" / "lightning_ecinn").glob("celebahq-32-*"))) == 2  # + lock
    assert sorted(hq.rglob("*")) == before


def test_the_images_stay_in_their_file(hq):
    module = data(hq)
    train, test = module.dataset("train"), module.dataset("test")
    assert train[torch.tensor([2])].images[0, 0, 0, 0] == 60
    assert train._pixels.data_ptr() == test._pixels.data_ptr()  # one mapping, no copies


def test_the_shares_of_all_splits_are_known_before_training(hq):
    module = data(hq)
    module.setup("fit")
    assert module.describe() == (
        "CelebAHQ: train 4 (each class 50.0 %); val 2 (each class 50.0 %); "
        "test 2 (each class 50.0 %)"
    )


def test_flips_are_on_by_default_and_training_images_alone_are_flipped(tmp_path):
    root = write_celeba_hq(tmp_path / "hq", 8, [0] * 6 + [170_000, 190_000])
    half = picture(0, (32, 32))
    half.paste((255,) * 3, (0, 0, 16, 32))
    for file in (root / "CelebA-HQ-img").iterdir():
        file.write_bytes(encoded(half, "PNG"))
    module = data(root, batch_size=6)
    sides = {
        level
        for epoch in range(4)
        for batch in shuffled(module, epoch)
        for level in batch.images[:, 0, 0, 0].tolist()
    }
    assert sides == {0, 255}
    module = data(root, batch_size=6, flip=False)
    assert all((batch.images[:, 0, 0, 0] == 255).all() for batch in shuffled(module, 0))


def shuffled(module, epoch):
    loader = module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return loader


# What can be wrong.


def test_damaged_missing_and_surplus_pictures_are_left_out_with_a_warning_each(hq):
    folder = hq / "CelebA-HQ-img"
    whole = (folder / "6.jpg").read_bytes()
    (folder / "6.jpg").write_bytes(whole[: len(whole) - 200])
    (folder / "7.jpg").unlink()
    (folder / "8.jpg").write_bytes(whole)
    (folder / "Thumbs.db").write_bytes(b"")
    module = data(hq)
    with pytest.warns(UserWarning, match="left out") as caught:
        module.setup()
    said = [str(warning.message) for warning in caught]
    assert len(said) == 3
    assert "names pictures that are not in" in said[0]
    assert "CelebA-HQ-img/7.jpg." in said[0]
    assert "without a line in CelebAMask-HQ-attribute-anno.txt are left out: 8.jpg." in said[1]
    assert "CelebA-HQ-img/6.jpg (" in said[2]
    assert "truncated" in said[2].lower()
    assert splits(module) == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("attribute", "hint"),
    [
        ("Smile", "did you mean Smiling"),
        ("high cheekbones", "did you mean High_Cheekbones"),
        ("Wearing_Lipstik", "did you mean Wearing_Lipstick"),
        ("xyz", "There are Smiling, High_Cheekbones"),
    ],
)
def test_an_unknown_attribute(hq, attribute, hint):
    with pytest.raises(ValueError, match=rf"attribute is '{attribute}'.*{hint}"):
        data(hq, attribute=attribute).prepare_data()


def test_nothing_there(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(DataNotFoundError, match=r"holds holiday.jpg: expected CelebA-HQ-img/"):
        data(tmp_path).prepare_data()
    with pytest.raises(DataNotFoundError, match=r"no folder and no zip .*no; .* holds holiday"):
        data(tmp_path / "no").prepare_data()


def test_no_table_of_attributes(hq):
    (hq / "CelebAMask-HQ-attribute-anno.txt").unlink()
    with pytest.raises(DataNotFoundError, match=r"attribute-anno.txt is not in .* holds CelebA-HQ"):
        data(hq).prepare_data()


@pytest.mark.parametrize(
    ("table", "damage", "message"),
    [
        ("CelebAMask-HQ-attribute-anno.txt", lambda t: t[:30], "download broke off"),
        ("CelebAMask-HQ-attribute-anno.txt", lambda t: t[:-6], "line of 7.jpg .* 4 times"),
        ("CelebAMask-HQ-attribute-anno.txt", lambda t: t.replace("-1", "?"), "line of 0.jpg"),
        ("CelebA-HQ-to-CelebA-mapping.txt", lambda t: t.replace("5", "x"), "mapping.* is damaged"),
        ("CelebA-HQ-to-CelebA-mapping.txt", lambda t: t[:90], r"leaves pictures out \(2.jpg, 3"),
    ],
)
def test_damaged_tables(hq, table, damage, message):
    (hq / table).write_text(damage((hq / table).read_text()))
    with pytest.raises(ValueError, match=message):
        data(hq).prepare_data()


def test_broken_and_empty_zips(hq, tmp_path):
    whole = zipped(hq, tmp_path / "CelebAMask-HQ.zip")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[:-300])
    with pytest.raises(ValueError, match=r"cut.zip is no zip archive .* download broke off"):
        data(cut).prepare_data()
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataNotFoundError, match="which holds nothing: expected"):
        data(zipped(tmp_path / "nothing", tmp_path / "empty.zip")).prepare_data()


def test_pictures_that_are_all_elsewhere_or_in_one_split(hq, tmp_path):
    root = write_celeba_hq(tmp_path / "one", 3, [0, 1, 2])
    module = data(root)
    assert len(module.dataset("train")) == 3
    assert module.val_dataloader() == []
    with pytest.raises(ValueError, match=r"None of the 3 pictures in .*one is a test image"):
        module.dataset("test")
    shutil.rmtree(hq / "CelebA-HQ-img")
    (hq / "CelebA-HQ-img").mkdir()
    (hq / "CelebA-HQ-img" / "0.png").write_bytes(b"")
    with pytest.raises(DataNotFoundError, match=r"None of the 8 pictures .*0.jpg, .* is in"):
        data(hq).prepare_data()


@pytest.mark.parametrize("resolution", [16, 65, 512, 0])
def test_resolutions_that_cannot_be(resolution):
    with pytest.raises(ValueError, match=f"resolution is {resolution}; give a multiple of 32"):
        CelebAHQ("nowhere", resolution=resolution)
