"""Pictures are decoded once, by one process; nothing half-made is ever taken for a cache."""

import os
import shutil
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from picture_files import NAMES, encoded, picture, zipped
from PIL import Image

from lightning_ecinn.datamodules import DataNotFoundError
from lightning_ecinn.datamodules.readers import cache
from lightning_ecinn.datamodules.readers.cache import Format, cached_images, default_folder
from lightning_ecinn.datamodules.readers.files import Archive, Folder, open_files
from lightning_ecinn.pictures.decode import decode

FORM = Format(size=8, channels=3)


def make(folder, where, form=FORM, names=NAMES):
    return cached_images(open_files(folder), names, form, where, "test")


def listing(where):
    return sorted(path.name for path in where.iterdir() if path.suffix != ".lock")


def levels(images):
    return images[:, 0, 0, 0].tolist()


def test_pictures_are_decoded_once_and_mapped_from_their_file(folder, tmp_path, decoded):
    first = make(folder, tmp_path / "cache")
    second = make(folder, tmp_path / "cache")

    assert len(decoded) == 6
    assert first.images.shape == (6, 3, 8, 8)
    assert first.images.dtype == torch.uint8
    assert levels(first.images) == [0, 40, 80, 120, 160, 200]
    assert torch.equal(first.images, second.images)
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if "cache" in line]
    assert any("images.npy" in line for line in mapped)


def test_writing_into_the_images_never_reaches_the_cache(folder, tmp_path):
    make(folder, tmp_path / "cache").images.fill_(7)
    assert levels(make(folder, tmp_path / "cache").images) == [0, 40, 80, 120, 160, 200]


@pytest.mark.parametrize("form", [Format(16, 3), Format(8, 1), Format(8, 3, crop=False)])
def test_another_format_gets_its_own_cache(folder, tmp_path, decoded, form):
    make(folder, tmp_path / "cache")
    other = make(folder, tmp_path / "cache", form)
    assert other.images.shape == (6, form.channels, form.size, form.size)
    assert len(decoded) == 12
    assert len(listing(tmp_path / "cache")) == 2


def test_a_changed_file_and_other_files_get_another_cache(folder, tmp_path, decoded):
    make(folder, tmp_path / "cache")
    (folder / "3.png").write_bytes(encoded(picture(255), "PNG", compress_level=0))
    assert levels(make(folder, tmp_path / "cache").images)[3] == 255
    assert len(make(folder, tmp_path / "cache", names=NAMES[:2]).images) == 2
    assert len(decoded) == 14


def test_a_zip_is_read_in_place_by_many_threads_and_processes(folder, tmp_path):
    archive = Archive(zipped(folder, tmp_path / "pictures.zip", "deep/down/")).below("deep")
    names = [f"down/{name}" for name in NAMES]
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(archive.read, names * 50))
    assert contents == [(folder / name).read_bytes() for name in NAMES] * 50
    assert archive.within("") == ["down"]
    assert archive.within("down") == NAMES
    assert archive.stamp("down/7.png") is None

    child = os.fork()
    if child == 0:  # a forked process reads while its parent does
        right = all(archive.read(n) == c for n, c in zip(names * 50, contents, strict=True))
        os._exit(0 if right else 1)
    assert [archive.read(name) for name in names * 50] == contents
    assert os.waitpid(child, 0)[1] == 0


def test_a_zip_that_moves_keeps_its_cache(folder, tmp_path, decoded):
    path = zipped(folder, tmp_path / "pictures.zip")
    make(path, tmp_path / "cache")
    make(path.rename(tmp_path / "moved.zip"), tmp_path / "cache")
    assert len(decoded) == 6


def test_unreadable_pictures_are_black_and_named(folder, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), "JPEG")
    (folder / "1.png").write_bytes(whole[: len(whole) // 2])
    (folder / "4.png").write_text("no picture")
    for _ in range(2):  # made, and read back
        found = make(folder, tmp_path / "cache")
        assert sorted(found.unreadable) == [1, 4]
        assert "truncated" in found.unreadable[1]
        assert levels(found.images) == [0, 0, 80, 120, 0, 200]


def test_where_nothing_can_be_read_there_is_no_cache(folder, tmp_path):
    for name in NAMES:
        (folder / name).write_text("no picture")
    with pytest.raises(ValueError, match=r"None of 6 pictures .* 0.png, Pillow says: cannot ident"):
        make(folder, tmp_path / "cache")
    assert listing(tmp_path / "cache") == []


def test_too_little_memory_is_no_fault_of_a_picture(folder, tmp_path, monkeypatch):
    def no_memory(*arguments):
        raise MemoryError

    monkeypatch.setattr(cache, "decode", no_memory)
    with pytest.raises(MemoryError):
        make(folder, tmp_path / "cache")


def test_a_damaged_member_of_a_zip_is_unreadable(folder, tmp_path):
    path = zipped(folder, tmp_path / "pictures.zip")
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("2.png").header_offset + 30 + len("2.png")
    content = bytearray(path.read_bytes())
    content[start + 20] ^= 255
    path.write_bytes(content)
    assert list(make(path, tmp_path / "cache").unreadable) == [2]


def test_a_build_that_fails_leaves_nothing_and_the_next_one_works(folder, tmp_path, monkeypatch):
    def dies(content, *settings):
        if content == (folder / "4.png").read_bytes():
            raise KeyboardInterrupt
        return decode(content, *settings)

    monkeypatch.setattr(cache, "decode", dies)
    with pytest.raises(KeyboardInterrupt):
        make(folder, tmp_path / "cache")
    assert listing(tmp_path / "cache") == []
    monkeypatch.undo()
    assert levels(make(folder, tmp_path / "cache").images)[4] == 160


def test_a_file_that_the_disk_does_not_give_is_an_error(folder, tmp_path, monkeypatch):
    def fails(self, name):
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(Folder, "read", fails)
    with pytest.raises(DataNotFoundError, match=r"0.png in .*pictures cannot be read .*Permission"):
        make(folder, tmp_path / "cache")
    assert listing(tmp_path / "cache") == []


def test_a_cache_folder_that_cannot_be_written(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be kept in .*file/cache .*another folder"):
        make(folder, tmp_path / "file" / "cache")


def test_a_full_disk_is_noticed_before_the_work(folder, tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100}))
    with pytest.raises(ValueError, match=r"GB are needed.*GB are free.*another folder"):
        make(folder, tmp_path / "cache")
    assert not decoded


def test_the_default_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/me")
    assert default_folder() == Path("/scratch/me/lightning_ecinn")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_folder() == Path("/home/me/.cache/lightning_ecinn")


def test_who_waits_for_a_cache_is_told_so(folder, tmp_path, capsys):
    place = make(folder, tmp_path / "cache").place
    shutil.rmtree(place)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(place.with_name(f"{place.name}.lock")):
            waiting = pool.submit(make, folder, tmp_path / "cache")
            while f"Waiting for another process, which is making {place}" not in (
                words := capsys.readouterr().err
            ):
                assert not waiting.done(), words
                time.sleep(0.01)
            assert listing(tmp_path / "cache") == []
        assert levels(waiting.result(60).images) == [0, 40, 80, 120, 160, 200]


def as_process(folder, where, log, pause):
    def noting(*arguments):
        with open(log, "a") as out:
            out.write(f"{os.getpid()}\n")
        time.sleep(pause)
        return decode(*arguments)

    cache.decode = noting
    assert levels(make(folder, where).images) == [0, 40, 80, 120, 160, 200]


def start(*arguments):
    process = get_context("fork").Process(target=as_process, args=arguments)
    process.start()
    return process


def test_of_several_processes_one_decodes_and_a_killed_one_is_replaced(folder, tmp_path):
    where, log = tmp_path / "cache", tmp_path / "log"
    killed = start(folder, where, log, 60)
    while not log.exists():
        assert killed.is_alive()
        time.sleep(0.01)
    assert any("part" in name for name in listing(where))

    waiting = [start(folder, where, log, 0) for _ in range(2)]
    time.sleep(0.2)
    assert len(listing(where)) == 1  # they wait
    killed.kill()
    for process in waiting:
        process.join(60)
    assert [process.exitcode for process in waiting] == [0, 0]
    assert [name for name in listing(where) if "part" in name] == []
    decoders = [int(line) for line in log.read_text().split() if int(line) != killed.pid]
    assert len(decoders) == 6
    assert len(set(decoders)) == 1
