"""Tables and arrays of strangers: refused before they are unpacked, in one sentence."""

import io
import zipfile

import numpy as np
import pytest
from refusals import refused

from lightning_ecinn.evaluation.files import read_images, read_targets
from lightning_ecinn.models.checkpoints import load_autoencoders
from lightning_ecinn.models.files import read_archive

READERS = {"target": read_targets, "images": read_images, "a/ae_all": load_autoencoders}


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """Arrays of zeros that unpack to 200 times their size."""
    header, size = io.BytesIO(), 70 * 2**20
    about = {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(header, about)
    path = tmp_path_factory.mktemp("bomb") / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in READERS:
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(size))
    assert path.stat().st_size < 3 * size / 200
    return path


@pytest.mark.parametrize(("name", "megabytes"), [("target", 73), ("images", 73), ("a/ae_all", 220)])
def test_a_small_file_does_not_fill_the_memory(bomb, name, megabytes):
    said = refused(READERS[name], bomb)
    assert f"it would unpack to {megabytes} MB, more than 100 times its size" in said


@pytest.mark.parametrize("shape", [(10**12,), (-2, -3), (10**6, 10**6), (7,)])
def test_a_header_that_announces_another_size(tmp_path, shape):
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": "<i8", "fortran_order": False, "shape": shape}
    )
    array.write(bytes(40))
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("target.npy", array.getvalue())
    message = refused(read_targets, tmp_path / "t.npz")
    assert "its array target.npy has another size than it says" in message


def test_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "t.npz", target=np.array([{}, None]))
    assert "target.npy holds objects of Python" in refused(read_targets, tmp_path / "t.npz")


def test_honest_files_of_any_kind_are_read(tmp_path):
    held = {"a": np.zeros(2**20), "b": np.ones((3, 2), order="F"), "c": np.zeros((0, 2))}
    np.savez_compressed(tmp_path / "a.npz", **held, d=np.array("text"))
    found, names = read_archive(tmp_path / "a.npz")
    assert names == ["a", "b", "c", "d"]
    assert all(np.array_equal(found[name], array) for name, array in held.items())


def test_a_flipped_bit_in_an_array(tmp_path):
    np.savez(tmp_path / "t.npz", target=np.arange(50))
    content = bytearray((tmp_path / "t.npz").read_bytes())
    content[300] ^= 4
    (tmp_path / "t.npz").write_bytes(content)
    assert "(it is damaged)" in refused(read_targets, tmp_path / "t.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("index,target\n1,2\n".encode("utf-16"), "not text in UTF-8: save it as such"),
        ("index,target,größe\n1,2,3\n".encode("latin-1"), "not text in UTF-8: save it as such"),
        (b"index,target\n1,\0\n", "line 2 does not hold two whole numbers"),
        (b"i\0ndex,target\n1,2\n", r"needs the columns index and target, got i\x00ndex, target"),
        (b'index,target\n"1,2\n' + b"3,4\n" * 10**5, "is no table (field larger than"),
        (b"index,target\n" + b"9" * 10**7 + b",1\n", "is no table (field larger than"),
        (b"index,target\n1,9223372036854775808\n", "line 2 does not hold two whole numbers"),
        (b"index,target\n1," + b"9" * 5000 + b"\n", "line 2 does not hold two whole numbers"),
        (b"\x1b[2J," * 1000 + b"\n1,2\n", r"got \x1b[2J, \x1b[2J,"),
        (b"\n", "got nothing"),
    ],
)
def test_tables_that_are_none(tmp_path, content, message):
    path = tmp_path / "targets.csv"
    path.write_bytes(content)
    assert message in refused(read_targets, path)


def test_a_table_with_a_byte_order_mark(tmp_path):
    (tmp_path / "t.csv").write_text("index,target\n3,4\n", encoding="utf-8-sig")
    assert read_targets(str(tmp_path / "t.csv"))["index"].tolist() == [3]


def autoencoders(width=2, **changed):
    shapes = [(width, 1), (width, width), (1, width), (width, 1), (width, width), (1, width)]
    held = {}
    for name in ("ae_0", "ae_1", "ae_all"):
        for i, (outputs, inputs) in enumerate(shapes):
            held[f"{name}/conv{i}/weight"] = np.zeros((outputs, inputs, 3, 3), np.float32)
            held[f"{name}/conv{i}/bias"] = np.zeros(outputs, np.float32)
    return held | {key.replace("__", "/"): value for key, value in changed.items()}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"ae_1__conv3__bias": np.full(2, np.nan, np.float32)},
            "NaN or infinity in its weight ae_1",
        ),
        ({"ae_all__conv0__weight": np.zeros(2, np.float32)}, "is no weight of a convolution"),
        ({"ae_all__conv0__weight": np.zeros((10**6, 1, 1, 1), np.float32)}, "larger network than"),
        ({"ae_0__conv2__bias": np.zeros(5, np.float32)}, "has shape (5,), expected (1,)"),
        ({"ae_0__conv2__bias": np.zeros(1, np.int64)}, "is of torch.int64, expected torch.float32"),
        ({"ae_0__conv2__bias": np.array("text")}, "is not a file of published autoencoders"),
        ({"ae_9__conv2__bias": np.zeros(1, np.float32)}, "'ae_2/conv0/weight'"),
    ],
)
def test_autoencoders_that_do_not_fit(tmp_path, changed, message):
    np.savez(tmp_path / "ae.npz", **autoencoders(**changed))
    assert message in refused(load_autoencoders, tmp_path / "ae.npz")
