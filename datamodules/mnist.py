"""MNIST: all of it, or the sample that ships with this package."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.datamodules.base import InMemoryDataModule
from lightning_ecinn.datamodules.checks import DataNotFoundError
from lightning_ecinn.datamodules.readers.idx import find_idx, read_idx
from lightning_ecinn.plain_text import short

SAMPLE = Path(__file__).parent / "data" / "mnist_sample.npz"
_VAL_SIZE = {"full": 5000, "sample": 1000}
_HINT = (
    "`quickstart.yaml` needs neither files nor network, because it uses the sample that ships with "
    "this package, `source: sample`"
)


class MNIST(InMemoryDataModule):
    """Handwritten digits, 1 x 28 x 28, ten classes.

    Args:
        source: "full" for the 60,000 + 10,000 images, downloaded if they are not in `root`;
            "sample" for the balanced part that ships with this package and needs no network.
        root: folder of the full data, whose files lie in MNIST/raw below it as with torchvision.
        val_size: training images held out for validation, every class in proportion; if not given,
            5000 of the full data and 1000 of the sample.
        **loader: fields of `LoaderSettings` but for `flip`, for a mirrored digit is another sign.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> data = MNIST(source="sample", batch_size=64)
        >>> data.setup("fit")
        >>> data.describe()
        'MNIST: train 29,000 (each class 10.0 %); val 1,000 (each class 10.0 %)'
        >>> next(iter(data.train_dataloader())).images.shape
        torch.Size([64, 1, 28, 28])
    """

    def __init__(
        self,
        source: Literal["sample", "full"] = "full",
        root: str = "data",
        val_size: int | None = None,
        **loader: Any,
    ) -> None:
        if source not in _VAL_SIZE:
            raise ValueError(f"source is {source!r}; choose 'sample' or 'full'.")
        super().__init__(
            image_shape=(1, 28, 28),
            class_names=[str(digit) for digit in range(10)],
            val_size=_VAL_SIZE[source] if val_size is None else val_size,
            flip=False,
            **loader,
        )
        self.source = source
        self.root = Path(root).expanduser().absolute()

    @property
    def is_at_hand(self) -> bool:
        """Whether the images can be read without downloading them."""
        return self.source == "sample" or not _missing(self.root)

    def prepare_data(self) -> None:
        """Download the full data unless it is there.

        Raises:
            DataNotFoundError: it is not there and cannot be downloaded.
        """
        if not self.is_at_hand:
            _download_or_explain(self.root)

    def load(self, train: bool) -> tuple[Tensor, Tensor]:
        """Return the digits: images (N, 1, 28, 28) uint8 and labels (N,) int64.

        Raises:
            DataNotFoundError: the files are not there.
            ValueError: a file is damaged.
        """
        images, labels = (
            read_sample(train) if self.source == "sample" else read_full(self.root, train)
        )
        return images.unsqueeze(1), labels.long()


def read_sample(train: bool) -> tuple[Tensor, Tensor]:
    """Read the shipped sample: images (N, 28, 28) and labels (N,), both uint8."""
    if not SAMPLE.is_file():
        raise DataNotFoundError(
            f"The MNIST sample is missing at {SAMPLE}: install the package again."
        )
    split = "train" if train else "test"
    with np.load(SAMPLE) as arrays:
        return torch.from_numpy(arrays[f"{split}_images"]), torch.from_numpy(
            arrays[f"{split}_labels"]
        )


def read_full(root: Path, train: bool) -> tuple[Tensor, Tensor]:
    """Read MNIST's own files: images (N, 28, 28) and labels (N,), both uint8."""
    if missing := _missing(root):
        raise DataNotFoundError(
            f"MNIST's {missing[0].name} is not in {missing[0].parent}: call prepare_data() to "
            f"download it, or give another `root`; {_HINT}."
        )
    images, labels = (read_idx(find_idx(stem) or stem) for stem in _stems(root, train))
    return images, labels


def _stems(root: Path, train: bool) -> tuple[Path, Path]:
    """Where the images and the labels lie, but for a possible .gz."""
    folder, prefix = root / "MNIST" / "raw", "train" if train else "t10k"
    return folder / f"{prefix}-images-idx3-ubyte", folder / f"{prefix}-labels-idx1-ubyte"


def _missing(root: Path) -> list[Path]:
    stems = (*_stems(root, train=True), *_stems(root, train=False))
    return [stem for stem in stems if find_idx(stem) is None]


def _download_or_explain(root: Path) -> None:
    folder = _stems(root, train=True)[0].parent
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        _download_beside(root)
        reason = "it left files out" if _missing(root) else None
    except (
        Exception
    ) as error:  # whatever breaks (network, disk, torchvision itself), the remedy is the same
        reason = _few_words(error)
    if reason and _missing(root):
        for path in new:  # what a wrong `root` made
            with suppress(OSError):
                path.rmdir()
        raise DataNotFoundError(
            f"MNIST is not in {folder} and downloading it failed ({reason}); {_HINT}."
        )


def _download_beside(root: Path) -> None:
    """Download into a folder of its own: files get their final names when they are whole."""
    part = root / ".mnist.part"
    try:
        _download(part)
        for missing in _missing(root):
            found = find_idx(part / missing.relative_to(root))
            if found is not None:
                missing.parent.mkdir(parents=True, exist_ok=True)
                os.replace(found, missing.with_name(found.name))
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _download(root: Path) -> None:
    # Imported here: beside some builds of torch, torchvision fails at import; only this needs it.
    from torchvision import datasets

    with _socket_timeout(30):
        datasets.MNIST(str(root), download=True)


def _few_words(error: Exception) -> str:
    return f"{type(error).__name__}: {short(error)}".rstrip(": ")


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Let a connection that says nothing fail instead of hanging."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
