"""Pictures, archives and tables of strangers: refused in one sentence and in bounded memory."""

import struct
import time
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from picture_files import encoded, picture, zipped
from PIL import Image

from lightning_ecinn.datamodules import LabelledImages
from lightning_ecinn.datamodules.readers.files import Archive, Folder
from lightning_ecinn.pictures import decode as decoding, limits
from lightning_ecinn.pictures.decode import decode


@pytest.fixture
def root(tmp_path):
    """Eight pictures in a folder of a folder."""
    (tmp_path / "root" / "scans").mkdir(parents=True)
    for i in range(8):
        (tmp_path / "root" / "scans" / f"{i}.png").write_bytes(encoded(picture(20 * i), "PNG"))
    write(tmp_path / "root", [f"scans/{i}.png" for i in range(8)])
    return tmp_path / "root"


def write(root, names, labels="abababab"):
    rows = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
    (root / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")


def data(root):
    return LabelledImages(
        str(root), resolution=8, val_share=0, test_share=0, cache=str(root.parent / "cache")
    )


def grey_levels(root):
    return sorted(data(root).dataset("train").images[:, 0, 0, 0].tolist())


def header_of(width, height):
    """A PNG that says how large it is and ends there."""
    chunk = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + crc + b"\0\0\1\0IDAT"


# Large pictures.


@pytest.mark.parametrize("check", [Image.MAX_IMAGE_PIXELS, None])
def test_a_picture_that_would_fill_the_memory_is_refused_by_its_header(monkeypatch, check):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", check)  # people switch Pillow's own off
    with pytest.raises(ValueError, match="it has more than 178 million pixels: make it smaller"):
        decode(header_of(20_000, 20_000), 8, 3)


PHOTOGRAPH = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
).resize((640, 480), Image.Resampling.BICUBIC)
TURNED = Image.Exif()
TURNED[0x0112] = 6


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        encoded(PHOTOGRAPH, "PNG"),
        encoded(PHOTOGRAPH, "PNG", exif=TURNED),
        encoded(PHOTOGRAPH, "TIFF", exif=TURNED),
        encoded(PHOTOGRAPH.convert("P"), "GIF", save_all=True, append_images=[picture(0)]),
        encoded(PHOTOGRAPH.convert("CMYK"), "TIFF"),
        encoded(PHOTOGRAPH.quantize(64), "PNG", transparency=3),
        encoded(Image.fromarray(np.asarray(PHOTOGRAPH)[..., 0].astype(np.uint16) * 257), "PNG"),
    ],
    ids=["RGB", "turned", "turned TIFF", "moving", "CMYK", "transparent palette", "16 bits"],
)
def test_strips_of_large_pictures_look_like_the_whole(monkeypatch, content, crop):
    whole = decode(content, 20, 3, crop).astype(int)
    monkeypatch.setattr(decoding, "_LARGE", 1)
    assert abs(decode(content, 20, 3, crop) - whole).mean() < 2


def test_a_large_picture_is_never_copied_whole(monkeypatch):
    monkeypatch.setattr(decoding, "_LARGE", 1)
    sizes = []
    flat = decoding._flat
    monkeypatch.setattr(
        decoding, "_flat", lambda i, m: (sizes.append(i.width * i.height), flat(i, m))[1]
    )
    decode(encoded(Image.new("L", (3000, 3000)), "PNG"), 8, 1)
    assert max(sizes) <= 2**20


def test_large_photographs_are_read_without_pillows_warning(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # less than 40 x 40
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        assert len(grey_levels(root)) == 8


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_giant_pictures_wait_for_each_other_but_not_jpegs_that_are_read_at_a_fraction(
    monkeypatch, kind
):
    monkeypatch.setattr(decoding, "_GIANT", 80 * 60 + 1)
    together, most = [], []
    read = decoding._read

    def watched(*arguments):
        together.append(1)
        time.sleep(0.05)
        most.append(len(together))
        together.pop()
        return read(*arguments)

    monkeypatch.setattr(decoding, "_read", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda content: decode(content, 8, 3), [encoded(PHOTOGRAPH, kind)] * 4))
    assert len(most) == 4
    assert (max(most) == 1) == (kind == "PNG")


# Damaged pictures.


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"just text", r"cannot identify it as a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot identify it as a picture"),
        (encoded(picture(9), "PNG")[:-40], "truncated|broken"),
        (header_of(20_000, 20_000), "more than 178 million pixels"),
    ],
    ids=["text", "a program", "cut", "huge"],
)
def test_an_unreadable_picture_is_left_out_by_its_name(root, content, why):
    (root / "scans" / "3.png").write_bytes(content)
    with pytest.warns(UserWarning, match=rf"left out: scans/3.png \(.*({why})") as caught:
        assert len(grey_levels(root)) == 7
    assert not any("BytesIO" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_png_whose_text_unpacks_to_much(kind):
    text = kind + b"a\0\0" + zlib.compress(bytes(2**26))
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    whole = encoded(picture(9), "PNG")
    with pytest.raises(ValueError, match=r"Decompressed (data too large|Data Too Large)"):
        decode(whole[:33] + chunk + whole[33:], 8, 3)


# Archives.


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("lies", [False, True])
def test_an_archive_that_unpacks_to_much(root, monkeypatch, kind, lies):
    monkeypatch.setattr(limits, "MOST_BYTES", 2**20)
    (root / "scans" / "3.png").write_bytes(bytes(2**22))
    path = root.parent / "all.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        for file in root.rglob("*.*"):
            archive.write(file, file.relative_to(root).as_posix())
    assert path.stat().st_size < 2**14
    if lies:  # about the size, in the archive's own table and before the file
        path.write_bytes(path.read_bytes().replace(struct.pack("<I", 2**22), struct.pack("<I", 9)))
    why = "Bad CRC" if lies else "it has 4 MB, more than 1 MB"
    with pytest.warns(UserWarning, match=rf"left out: scans/3.png \({why}"):
        assert len(grey_levels(path)) == 7


def test_a_folder_has_the_same_limit(root, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 500)
    (root / "scans" / "3.png").write_bytes(bytes(600))
    with pytest.raises(ValueError, match="it has 0 MB, more than 0 MB"):
        Folder(root).read("scans/3.png")
    (root / "labels.csv").write_bytes(bytes(600))
    with pytest.raises(ValueError, match=r"labels\.csv cannot be read: it has"):
        data(root)


def test_encrypted_files_of_an_archive(root, tmp_path):
    content = bytearray(zipped(root, tmp_path / "all.zip").read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = content.find(magic)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(magic, place + 4)
    (tmp_path / "locked.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"labels.csv cannot be read: .* is encrypted"):
        data(tmp_path / "locked.zip")


def test_names_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("./a.png", "x//b.png", "y\\c.png", "../../d.png", "/e.png"):
            archive.writestr(name, name)
    files = Archive(tmp_path / "all.zip")
    assert [files.read(name) for name in ("a.png", "x/b.png", "y/c.png")] == [
        b"./a.png",
        b"x//b.png",
        b"y\\c.png",
    ]
    assert "y" in files.within("")
    assert files.within("y") == ["c.png"]


def test_an_archive_damaged_in_its_table_of_contents(root, tmp_path):
    whole = zipped(root, tmp_path / "all.zip").read_bytes()
    place = whole.find(b"PK\1\2")
    (tmp_path / "bad.zip").write_bytes(whole[:place] + b"PK\0\0" + whole[place + 4 :])
    with pytest.raises(ValueError, match=r"bad.zip is no zip archive that can be read"):
        data(tmp_path / "bad.zip")


# What a table calls its files.


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "scans/../../secret.png", "..\\secret.png", "{}/secret.png", "C:\\s.png"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_table_cannot_name_what_is_outside(root, tmp_path, name, packed):
    (tmp_path / "secret.png").write_bytes(encoded(picture(99), "PNG"))
    names = [name.format(tmp_path), *(f"scans/{i}.png" for i in range(1, 8))]
    write(root, names)
    place = zipped(root, tmp_path / "all.zip") if packed else root
    with pytest.raises(ValueError, match=r"secret|s\.png") as caught:
        data(place)
    assert "in row 2, which is outside of" in str(caught.value)


def test_absolute_paths_into_the_folder_are_taken(root):
    (root.parent / "link").symlink_to(root)
    names = [f"{root}/scans/{i}.png" for i in range(7)]
    write(root, [*names, "scans/7.png"])
    assert grey_levels(root) == grey_levels(root.parent / "link") == [20 * i for i in range(8)]


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("packed", [False, True])
def test_paths_of_windows_are_found(root, tmp_path, few, packed):
    names = [f"scans/{i}.png" if few and i > 2 else f"scans\\{i}.png" for i in range(8)]
    write(root, names)
    assert grey_levels(zipped(root, tmp_path / "all.zip") if packed else root) == [
        20 * i for i in range(8)
    ]


def test_a_file_whose_name_has_a_backslash_wins(root):
    (root / "scans\\0.png").write_bytes(encoded(picture(250), "PNG"))
    write(root, ["scans\\0.png", *(f"scans\\{i}.png" for i in range(1, 8))])
    assert grey_levels(root) == [*(20 * i for i in range(1, 8)), 250]


@pytest.mark.parametrize(
    "other", ["./scans/0.png", "x/../scans/0.png", "scans//0.png", "scans\\0.png"]
)
@pytest.mark.parametrize("label", "ab")
def test_one_picture_by_two_names(root, other, label):
    write(root, ["scans/0.png", other, *(f"scans/{i}.png" for i in range(2, 8))], f"a{label}ababab")
    with pytest.raises(ValueError, match=r"'scans/0.png' in row 2 and as '.*' in row 3: keep one"):
        data(root)


def test_names_that_no_file_can_have(root):
    write(root, ["a" * 300, "b\0c", *(f"scans/{i}.png" for i in range(2, 8))])
    with pytest.warns(UserWarning, match="that are not in"):
        assert len(grey_levels(root)) == 6


# What is printed.


def test_control_characters_of_names_and_labels_are_escaped(root):
    write(root, [f"scans/{i}.png" for i in range(8)], ["\x1b[2Ka", "b\u202e"] * 4)
    module = data(root)
    assert module.class_names == ["\\x1b[2Ka", "b\\u202e"]
    assert module.dataset("train").labels.tolist() == [0, 1] * 4
    write(root, ["\x1b]0;gone.png", *(f"scans/{i}.png" for i in range(1, 8))])
    with pytest.warns(UserWarning, match=r"left out are \\x1b\]0;gone.png\."):
        grey_levels(root)
