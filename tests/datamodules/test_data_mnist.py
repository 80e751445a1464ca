"""MNIST: IDX files as they come, the shipped sample, and what is said when there is no data."""

import builtins
import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_ecinn.datamodules import MNIST, DataNotFoundError, mnist
from lightning_ecinn.datamodules.readers.idx import read_idx
from tools.make_mnist_sample import first_of_each_class, write_npz

STEMS = [
    f"{split}-{kind}-ubyte"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
]


def idx_bytes(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_mnist(root, suffix=""):
    """Write 40 training and 20 test images of noise; returns the arrays by file name."""
    folder, rng = root / "MNIST" / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    arrays = {}
    for stem, n in zip(STEMS, (40, 40, 20, 20), strict=True):
        is_images = "images" in stem
        arrays[stem] = rng.integers(0, 256, (n, 28, 28)) if is_images else np.arange(n) % 10
        content = idx_bytes(arrays[stem])
        (folder / f"{stem}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return arrays


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_full_reads_the_files_as_they_are(tmp_path, suffix, monkeypatch):
    arrays = write_mnist(tmp_path, suffix)
    monkeypatch.setattr(mnist, "_download", lambda root: pytest.fail("the files are there"))
    data = MNIST(root=str(tmp_path), val_size=0)
    data.prepare_data()
    data.setup()

    for split, prefix in (("train", STEMS[:2]), ("test", STEMS[2:])):
        dataset = data.dataset(split)
        assert torch.equal(dataset.images[:, 0], torch.from_numpy(arrays[prefix[0]]).byte())
        assert torch.equal(dataset.labels, torch.from_numpy(arrays[prefix[1]]))


def test_full_holds_out_5000_and_the_sample_1000():
    assert MNIST().val_size == 5000
    assert MNIST(source="sample").val_size == 1000
    assert MNIST(val_size=7).val_size == 7
    with pytest.raises(ValueError, match="source is 'half'; choose 'sample' or 'full'"):
        MNIST(source="half")


def test_prepare_data_downloads_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "_download", write_mnist)
    data = MNIST(root=str(tmp_path), val_size=10)
    data.prepare_data()
    data.setup("fit")
    assert len(data.dataset("train")) == 30


def test_what_is_there_stays_when_the_rest_is_downloaded(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    folder = tmp_path / "MNIST" / "raw"
    mine = (folder / STEMS[0]).read_bytes()
    (folder / STEMS[3]).unlink()
    monkeypatch.setattr(mnist, "_download", lambda root: write_mnist(root, ".gz"))
    MNIST(root=str(tmp_path)).prepare_data()
    assert (folder / STEMS[0]).read_bytes() == mine
    assert sorted(path.name for path in folder.iterdir()) == sorted([*STEMS[:3], f"{STEMS[3]}.gz"])
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]


@pytest.mark.parametrize("root", ["no/such/place", "", "MNIST"])
def test_a_wrong_root_leaves_nothing_behind(tmp_path, monkeypatch, root):
    def break_off(part):
        write_mnist(part)
        (part / "MNIST" / "raw" / STEMS[0]).write_bytes(b"half")
        raise OSError("network is down")

    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(mnist, "_download", break_off)
    with pytest.raises(DataNotFoundError, match="network is down"):
        MNIST(root=str(tmp_path / root)).prepare_data()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataNotFoundError, match=r"MNIST is not in .*file/MNIST/raw"):
        MNIST(root=str(tmp_path / "file")).prepare_data()
    assert (tmp_path / "file").read_text() == "mine"


def refuse_download(root):
    raise OSError("network is down\nand a second line")


def break_torchvision(monkeypatch):
    original = builtins.__import__

    def importer(name, *args, **kwargs):
        if name.startswith("torchvision"):
            raise RuntimeError("operator torchvision::nms does not exist")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importer)


@pytest.mark.parametrize(
    "reason", ["network is down", "torchvision::nms does not exist", "left files out"]
)
def test_the_one_sentence_when_there_is_no_mnist(tmp_path, monkeypatch, reason):
    if "nms" in reason:
        break_torchvision(monkeypatch)
    else:
        downloader = refuse_download if "network" in reason else lambda root: None
        monkeypatch.setattr(mnist, "_download", downloader)
    with pytest.raises(DataNotFoundError) as caught:
        MNIST(root=str(tmp_path)).prepare_data()

    message = str(caught.value)
    assert message.startswith(f"MNIST is not in {tmp_path}/MNIST/raw and downloading it failed")
    assert reason in message
    assert "quickstart.yaml" in message
    assert "source: sample" in message
    assert "\n" not in message
    assert message.endswith(".")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert isinstance(caught.value, FileNotFoundError)


def test_reading_before_downloading_says_what_to_call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataNotFoundError, match=rf"{tmp_path}/data/MNIST/raw: call prepare_data\(\)"
    ):
        MNIST().setup("fit")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(np.zeros((3, 4)))[:-1], r"holds 11 values, but its header announces \[3, 4\]"),
        (idx_bytes(np.zeros((3, 4))) + b"x", "holds 13 values"),
        (idx_bytes(np.zeros((3, 4)))[:9], "ends inside its header"),
        (b"\x00\x00\x0d\x01" + bytes(8), "starts with the bytes 00 00 0d 01"),
        (b"<!DOCTYPE html>", "starts with the bytes 3c 21 44 4f"),
        (b"", r"starts with the bytes \(none\)"),
    ],
)
def test_damaged_idx_files(tmp_path, content, message):
    path = tmp_path / "some-ubyte"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path)


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-9], lambda c: b"no gzip", lambda c: c[:20] + b"~~~" + c[23:]]
)
def test_damaged_gzip_files(tmp_path, damage):
    path = tmp_path / "some-ubyte.gz"
    path.write_bytes(damage(gzip.compress(idx_bytes(np.arange(200).reshape(10, 20)))))
    with pytest.raises(ValueError, match=r"cannot be decompressed.*delete it"):
        read_idx(path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_that_announces_more_than_fits_is_not_read(tmp_path, suffix):
    path = tmp_path / f"some-ubyte{suffix}"
    content = struct.pack(">BBBB2I", 0, 0, 8, 2, 2**31, 2**31) + bytes(99)
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(ValueError, match=r"announces .* more than 268 MB"):
        read_idx(path)


def test_a_gzip_file_is_unpacked_only_as_far_as_it_announces(tmp_path, monkeypatch):
    path = tmp_path / "some-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((3, 4))) + bytes(2**22)))
    with pytest.raises(ValueError, match=r"holds 13 values or more, but its header .* \[3, 4\]"):
        read_idx(path)


def test_read_idx_gives_what_was_written_and_may_be_changed(tmp_path):
    array = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "some").write_bytes(idx_bytes(array))
    read = read_idx(tmp_path / "some")
    assert torch.equal(read, torch.from_numpy(array).byte())
    read[0] = 1


def test_sample_is_balanced_and_in_range():
    data = MNIST(source="sample")
    data.prepare_data()
    data.setup()

    assert data.dataset("train").labels.bincount().tolist() == [2900] * 10
    assert data.dataset("val").labels.bincount().tolist() == [100] * 10
    assert data.dataset("test").labels.bincount().tolist() == [300] * 10
    images = data.dataset("train").images
    assert images.shape == (29000, 1, 28, 28)
    assert images.dtype == torch.uint8
    assert images.float().mean() == pytest.approx(33.3, abs=1)  # all of MNIST: 33.32


def test_sample_indices_are_the_first_of_each_class_in_file_order():
    with np.load(mnist.SAMPLE) as arrays:
        for split, per_class in (("train", 3000), ("test", 300)):
            labels, indices = arrays[f"{split}_labels"], arrays[f"{split}_indices"].astype(int)
            assert len(indices) == 10 * per_class
            assert (np.diff(indices) > 0).all()
            # Whatever lies before the first class to be complete has been taken without a gap.
            complete = min(indices[labels == digit].max() for digit in range(10))
            assert np.array_equal(indices[: complete + 1], np.arange(complete + 1))


def test_sample_is_the_file_that_its_readme_describes():
    content = mnist.SAMPLE.read_bytes()
    readme = (mnist.SAMPLE.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(content).hexdigest() in readme
    assert "CC BY-SA 3.0" in readme
    assert len(content) <= 4.9e6


def test_a_missing_sample_is_said_so(monkeypatch):
    monkeypatch.setattr(mnist, "SAMPLE", Path("/nowhere/mnist_sample.npz"))
    with pytest.raises(DataNotFoundError, match=r"/nowhere/mnist_sample\.npz: install"):
        MNIST(source="sample").setup("fit")


def test_the_samples_tool_selects_and_writes_the_same_bytes_twice(tmp_path):
    labels = np.array([1, 0, 0, 1, 0, 1])
    assert first_of_each_class(labels, 2).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="only 3 images, 4 are wanted"):
        first_of_each_class(labels, 4)

    for name in ("a.npz", "b.npz"):
        write_npz(tmp_path / name, {"labels": labels})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert np.array_equal(np.load(tmp_path / "a.npz")["labels"], labels)
