"""The IDX format of the MNIST files, raw or gzipped.

Four bytes (0, 0, type, number of dimensions), one big-endian uint32 per dimension, then the values.

torchvision has a reader too, but it does not decompress, meets a damaged file with a bare `assert`
or a message without the file's name, and cannot be imported beside some builds of torch.
"""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path | str) -> Tensor:
    """Read a file of unsigned bytes.

    Args:
        path: the file; a name that ends in .gz is decompressed.

    Returns:
        uint8 tensor of the shape that the file states.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no IDX file of unsigned bytes, or it is cut off or too long.
    """
    path = Path(path)
    content = _read_bytes(path)
    start = 4 + 4 * _num_dims(content, path)
    if len(content) < start:
        raise ValueError(f"{path} ends inside its header: delete it and fetch it again.")
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    values = np.frombuffer(content[start:], np.uint8)
    if len(values) != prod(shape):
        raise ValueError(
            f"{path} holds {len(values)} values, but its header announces {shape}: "
            "it is damaged or its download broke off; delete it and fetch it again."
        )
    return torch.from_numpy(values.reshape(shape).copy())


def find_idx(stem: Path) -> Path | None:
    """Return the file `stem`, or `stem`.gz, or None where there is neither."""
    return next(
        (path for path in (stem, stem.with_name(stem.name + ".gz")) if path.is_file()), None
    )


def _read_bytes(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be decompressed ({error}): it is damaged or its download broke off; "
            "delete it and fetch it again."
        ) from None


def _num_dims(content: bytes, path: Path) -> int:
    if len(content) < 4 or content[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or content[3] == 0:
        raise ValueError(
            f"{path} starts with the bytes {content[:4].hex(' ') or '(none)'}, but an IDX file of "
            "unsigned bytes starts with 00 00 08 and its number of dimensions: give MNIST's own."
        )
    return content[3]
