"""Make the MNIST sample that ships with `datamodules` from MNIST's own files.

    python -m tools.make_mnist_sample --root data --out datamodules/data/mnist_sample.npz

The first images of every class, in the order of the files. The same files give the same bytes.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from lightning_ecinn.datamodules.mnist import read_full

TRAIN_PER_CLASS, TEST_PER_CLASS = 3000, 300


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the ascending indices of the first `count` images of every class."""
    classes = range(int(labels.max()) + 1)
    found = [np.flatnonzero(labels == label)[:count] for label in classes]
    if min(map(len, found)) < count:
        raise ValueError(f"a class has only {min(map(len, found))} images, {count} are wanted.")
    return np.sort(np.concatenate(found))


def select(root: Path, split: str, count: int) -> dict[str, np.ndarray]:
    """Return images (N, 28, 28), labels (N,) and original indices (N,) of one split."""
    images, labels = (tensor.numpy() for tensor in read_full(root, train=split == "train"))
    indices = first_of_each_class(labels, count)
    return {
        f"{split}_images": images[indices],
        f"{split}_labels": labels[indices],
        f"{split}_indices": indices.astype(np.uint16),
    }


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a .npz that `numpy.load` reads, with LZMA for deflate and without the time of day."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_LZMA
            archive.writestr(entry, content.getvalue())


def main() -> None:
    """Parse the arguments, write the sample and print its size and checksum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--out", type=Path, required=True, help="the .npz to write")
    args = parser.parse_args()
    train = select(args.root, "train", TRAIN_PER_CLASS)
    write_npz(args.out, train | select(args.root, "test", TEST_PER_CLASS))
    content = args.out.read_bytes()
    print(f"{args.out}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
