"""Pixels as the content of a PNG file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["png_bytes"]


def png_bytes(pixels: np.ndarray, **options: Any) -> bytes:
    """The PNG file of pixels: the one place where pictures are encoded.

    Args:
        pixels: (H, W), (H, W, 1) or (H, W, 3), uint8.
        options: of Pillow's PNG writer: ``optimize`` for the smallest file, ``compress_level``
            for a fast one.

    Example:
        >>> content = png_bytes(np.zeros((2, 3, 1), np.uint8))
        >>> Image.open(io.BytesIO(content)).size, Image.open(io.BytesIO(content)).mode
        ((3, 2), 'L')
    """
    grey = pixels.ndim == 3 and pixels.shape[2] == 1
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
    image.save(file, "png", **options)
    return file.getvalue()
