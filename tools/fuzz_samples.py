"""The readers that tools/fuzz.py tries, and the small valid files that it begins from."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from picture_files import encoded, picture, write_celeba, write_celeba_hq, zipped
from PIL import Image
from published import published

from lightning_ecinn.datamodules.readers.cache import Format, cached_images
from lightning_ecinn.datamodules.readers.celeba import find_celeba
from lightning_ecinn.datamodules.readers.files import open_files
from lightning_ecinn.datamodules.readers.idx import read_idx
from lightning_ecinn.datamodules.readers.table import read_table
from lightning_ecinn.evaluation.files import read_images, read_targets
from lightning_ecinn.models import GenerativeClassifier
from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.checkpoints import KINDS, load_autoencoders, read_checkpoint
from lightning_ecinn.models.networks import ConvNetwork
from lightning_ecinn.models.published import read_published

SMALL = {"blocks": (1,), "widths": (4,), "dropouts": (0,), "fc_blocks": 1, "fc_width": 8}


def checkpoint(entry: str, model: torch.nn.Module, **options: object):
    """Write a checkpoint of a model."""

    def sample(folder: Path) -> Path:
        folder.mkdir(parents=True)
        state = {f"{entry}.{key}": value for key, value in model.state_dict().items()}
        content = {entry: model.config, "state_dict": state, "pytorch-lightning_version": "2.6.0"}
        torch.save(content, folder / "last.ckpt", **options)
        return folder / "last.ckpt"

    return sample


def published_checkpoint(folder: Path) -> Path:
    """Write one of the published code."""
    folder.mkdir(parents=True)
    torch.save(published(GenerativeClassifier((1, 8, 8), 3, **SMALL)), folder / "inn.pt")
    return folder / "inn.pt"


def arrays(name: str, pack=np.savez, **held: np.ndarray):
    """Write a file of arrays."""

    def sample(folder: Path) -> Path:
        folder.mkdir(parents=True)
        pack(folder / name, **{key.replace("__", "/"): array for key, array in held.items()})
        return folder / name

    return sample


def text(name: str, content: str):
    """Write a table."""

    def sample(folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / name).write_text(content)
        return folder / name

    return sample


def idx(name: str):
    """Write digits, packed or not."""

    def sample(folder: Path) -> Path:
        folder.mkdir(parents=True)
        content = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4]) + bytes(32)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return folder / name

    return sample


def one_picture(kind: str):
    """Write a picture beside another one."""

    def sample(folder: Path) -> Path:
        folder.mkdir(parents=True)
        noise = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
        (folder / "other.png").write_bytes(encoded(picture(90), "PNG"))
        (folder / "one").write_bytes(encoded(Image.fromarray(noise), kind))
        return folder / "one"

    return sample


def picture_archive(folder: Path) -> Path:
    """Write a zip archive of pictures and their table."""
    inside = folder / "inside"
    inside.mkdir(parents=True)
    for name in ("one.png", "other.png"):
        (inside / name).write_bytes(encoded(picture(90), "PNG"))
    (inside / "labels.csv").write_text("file,label\none.png,a\nother.png,b\n")
    return zipped(inside, folder / "pictures.zip")


def celeba(write, table: str):
    """Write a CelebA, and change a table of it."""

    def sample(folder: Path) -> Path:
        write(folder)
        return folder / table

    return sample


def cache(file: str):
    """Make a cache, and change a file of it."""

    def sample(folder: Path) -> Path:
        place = read_cache(one_picture("PNG")(folder))
        return place / file

    return sample


def read_pictures(path: Path) -> None:
    """Decode a picture for a cache."""
    where = path.parent / "cache"
    cached_images(open_files(path.parent), ["one", "other.png"], Format(8, 3), where, "fuzz")


def read_cache(path: Path) -> Path:
    """Open the cache of the pictures above or beside a file; it must hold the right pixels."""
    root = next(parent for parent in path.parents if (parent / "other.png").exists())
    found = cached_images(
        open_files(root), ["one", "other.png"], Format(8, 3), root / "cache", "fuzz"
    )
    if found.images[1].unique().tolist() != [90] or found.unreadable:
        raise AssertionError("the cache gives other pixels")
    return found.place


def read_archive_of_pictures(path: Path) -> None:
    """Read a table in an archive, and the pictures that it names."""
    files = open_files(path)
    names = read_table(files, "labels.csv").pictures("file", "file_column", files)
    cached_images(files, names, Format(8, 3), path.parent / "cache", "fuzz")


def read_folder_table(path: Path) -> None:
    """Read a table of files and labels."""
    files = open_files(path.parent)
    table = read_table(files, path.name)
    table.pictures("file", "file_column", files)
    table.column("label", "label_column")


def read_celeba(path: Path) -> None:
    """Read CelebA's tables, wherever they are."""
    root = next(parent for parent in path.parents if parent.parent.name == "valid")
    found = find_celeba(root)
    found.read_split(list(found.read_attribute("Smiling")))


def autoencoder_arrays() -> dict[str, np.ndarray]:
    """Published autoencoders, as small as they get."""
    held = {}
    for name, network in zip(("ae_0", "ae_1", "ae_all"), AUTOENCODERS.networks, strict=True):
        for i, conv in enumerate(network.convolutions):
            for key, value in conv.state_dict().items():
                held[f"a__{name}__conv{i}__{key}"] = value.numpy()
    return held


CLASSIFIER = GenerativeClassifier((1, 8, 8), 3, ["a", "b", "c"], **SMALL)
NETWORK = ConvNetwork((1, 8, 8), 3, widths=[4])
AUTOENCODERS = Autoencoders((1, 28, 28), 2, width=2)
IMAGES = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
LABELS = np.arange(4)
TABLE = "file,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(20))

READERS = {
    "checkpoints": (
        lambda path: read_checkpoint(path, *KINDS).model(),
        [
            checkpoint("classifier", CLASSIFIER),
            checkpoint("classifier", CLASSIFIER, _use_new_zipfile_serialization=False),
            checkpoint("network", NETWORK),
            checkpoint("autoencoders", AUTOENCODERS),
        ],
    ),
    "published checkpoints": (read_published, [published_checkpoint]),
    "published autoencoders": (
        lambda path: load_autoencoders(path),
        [
            arrays("a.npz", **autoencoder_arrays()),
            arrays("a.npz", np.savez_compressed, **autoencoder_arrays()),
        ],
    ),
    "targets": (
        lambda path: read_targets(str(path)),
        [
            arrays("t.npz", target=LABELS, source=LABELS),
            arrays("t.npz", np.savez_compressed, target=LABELS, source=LABELS),
            text("t.csv", "index,target\n" + "".join(f"{i},{i % 10}\n" for i in range(20))),
        ],
    ),
    "images": (
        lambda path: read_images(str(path)),
        [
            arrays("i.npz", images=IMAGES, labels=LABELS),
            arrays("i.npz", np.savez_compressed, images=IMAGES, labels=LABELS),
        ],
    ),
    "pictures": (
        read_pictures,
        [one_picture(kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "TGA", "PPM")],
    ),
    "picture archives": (read_archive_of_pictures, [picture_archive]),
    "tables": (read_folder_table, [text("t.csv", TABLE)]),
    "CelebA": (
        read_celeba,
        [
            celeba(
                lambda root: write_celeba_hq(root, originals=range(8)),
                "CelebA-HQ-to-CelebA-mapping.txt",
            ),
            celeba(write_celeba_hq, "CelebAMask-HQ-attribute-anno.txt"),
            celeba(lambda root: write_celeba(root, split=(0, 1, 2, 0)), "list_attr_celeba.txt"),
            celeba(lambda root: write_celeba(root, split=(0, 1, 2, 0)), "list_eval_partition.txt"),
        ],
    ),
    "MNIST": (read_idx, [idx("digits"), idx("digits.gz")]),
    "picture cache": (read_cache, [cache("images.npy"), cache("about.json")]),
}
