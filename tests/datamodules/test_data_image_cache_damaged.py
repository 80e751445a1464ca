"""A cache that is damaged, of an earlier version, or where nothing can be written."""

import pytest
import torch
from disk import full_disk
from picture_files import NAMES

from lightning_ecinn.datamodules.readers import cache
from lightning_ecinn.datamodules.readers.cache import Format, cached_images
from lightning_ecinn.datamodules.readers.files import open_files


def make(folder, where, form=Format(size=8, channels=3)):  # noqa: B008
    return cached_images(open_files(folder), NAMES, form, where, "test")


def levels(images):
    return images[:, 0, 0, 0].tolist()


def flipped(content):
    """One bit, of the last picture or of the indices of unreadable ones."""
    place = content.rfind(b'"1"') + 1 if content.startswith(b"{") else len(content) - 1
    return content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :]


DAMAGES = {
    "cut": lambda content: content[:-100],
    "flipped": flipped,
    "empty": lambda content: b"",
    "longer": lambda content: content + bytes(192),
    "another": lambda content: b"[" * 10**5 if content.startswith(b"{") else b"PK\x03\x04",
}


@pytest.mark.parametrize("file", ["images.npy", "about.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_made_again(folder, tmp_path, decoded, file, damage):
    (folder / "1.png").write_text("no picture")
    make(folder, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob(f"*/{file}")
    before = path.read_bytes()
    path.write_bytes(DAMAGES[damage](before))
    found = make(folder, tmp_path / "cache")
    assert levels(found.images) == [0, 0, 80, 120, 160, 200]
    assert list(found.unreadable) == [1]
    assert len(decoded) == 12
    assert path.read_bytes() == before


def test_who_has_a_cache_open_keeps_it_when_it_is_replaced(folder, tmp_path):
    """It is never changed in place, or whoever reads it would be killed."""
    opened = make(folder, tmp_path / "cache")
    about = opened.place / "about.json"
    about.write_text("damaged")
    again = make(folder, tmp_path / "cache")
    assert torch.equal(opened.images, again.images)
    assert levels(opened.images) == [0, 40, 80, 120, 160, 200]


@pytest.mark.parametrize("content", ['{"unreadable": {}}', "[]", "3", '{"checksums": 1}', "null"])
def test_a_cache_of_an_earlier_version_is_made_again(folder, tmp_path, decoded, content):
    place = make(folder, tmp_path / "cache").place
    (place / "about.json").write_text(content)
    assert levels(make(folder, tmp_path / "cache").images)[2] == 80
    assert len(decoded) == 12
    assert make(folder, tmp_path / "cache").place == place
    assert len(decoded) == 12


def test_what_lies_at_the_caches_place_is_replaced(folder, tmp_path):
    place = make(folder, tmp_path / "cache").place
    (place / "about.json").unlink()
    (place / "about.json").mkdir()
    assert levels(make(folder, tmp_path / "cache").images)[2] == 80


def test_a_cache_that_is_read_only_is_used(folder, tmp_path, monkeypatch):
    make(folder, tmp_path / "cache")

    def no_lock(place):
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(cache, "_exclusive", no_lock)
    assert levels(make(folder, tmp_path / "cache").images)[2] == 80
    with pytest.raises(ValueError, match=r"cannot be kept in .* \(Permission denied\): give the"):
        make(folder, tmp_path / "cache", Format(4, 3))


def test_a_disk_that_fills_up_leaves_nothing(folder, tmp_path):
    with (
        full_disk(room=500),
        pytest.raises(
            ValueError, match=r"^Decoded images cannot be kept in \S+ \(File too large\)"
        ),
    ):
        make(folder, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]
