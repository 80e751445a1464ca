"""The IDX format of the MNIST files, raw or gzipped.

Four bytes (0, 0, type, number of dimensions), one big-endian uint32 per dimension, then the values.

torchvision has a reader too, but it does not decompress, meets a damaged file with a bare `assert`
or a message without the file's name, and cannot be imported beside some builds of torch.
"""

import gzip
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from lightning_ecinn.pictures.limits import MOST_BYTES

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path | str) -> Tensor:
    """Read a file of unsigned bytes.

    Args:
        path: the file; a name that ends in .gz is decompressed.

    Returns:
        uint8 tensor of the shape that the file states.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no IDX file of unsigned bytes, or it is cut off, too long or large.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return torch.from_numpy(_read(file, path))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be decompressed ({error}): it is damaged or its download broke off; "
            "delete it and fetch it again."
        ) from None


def find_idx(stem: Path) -> Path | None:
    """Return the file `stem`, or `stem`.gz, or None where there is neither."""
    return next(
        (path for path in (stem, stem.with_name(stem.name + ".gz")) if path.is_file()), None
    )


def _read(file: IO[bytes] | gzip.GzipFile, path: Path) -> np.ndarray:
    """Read one byte more than the header announces: a small file may unpack to a large one."""
    num_dims = _num_dims(file.read(4), path)
    sizes = file.read(4 * num_dims)
    if len(sizes) < 4 * num_dims:
        raise ValueError(f"{path} ends inside its header: delete it and fetch it again.")
    shape = np.frombuffer(sizes, ">u4").tolist()
    if prod(shape) > MOST_BYTES:
        raise ValueError(
            f"{path} announces {shape}, which is more than {MOST_BYTES / 1e6:.0f} MB: give "
            "MNIST's own."
        )
    content = bytearray(file.read(prod(shape) + 1))  # can be written to, as torch wants it
    if len(content) != prod(shape):
        more = " or more" if len(content) > prod(shape) else ""
        raise ValueError(
            f"{path} holds {len(content)} values{more}, but its header announces {shape}: "
            "it is damaged or its download broke off; delete it and fetch it again."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _num_dims(magic: bytes, path: Path) -> int:
    if len(magic) < 4 or magic[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or not 1 <= magic[3] <= 4:
        raise ValueError(
            f"{path} starts with the bytes {magic.hex(' ') or '(none)'}, but an IDX file of "
            "unsigned bytes starts with 00 00 08 and its number of dimensions: give MNIST's own."
        )
    return magic[3]
