"""Pictures as texts: PNG files in base64."""

from __future__ import annotations

import base64

import numpy as np
from torch import Tensor

from lightning_ecinn.pictures.encode import png_bytes

__all__ = ["png", "sprite"]


def png(picture: Tensor) -> str:
    """A PNG file, in base64, of a picture (C, H, W), uint8, of 1 or 3 channels.

    Example:
        >>> import io, torch
        >>> from PIL import Image
        >>> text = png(torch.zeros(1, 2, 3, dtype=torch.uint8))
        >>> Image.open(io.BytesIO(base64.b64decode(text))).size
        (3, 2)
    """
    return _png(picture.permute(1, 2, 0).numpy())


def sprite(pictures: Tensor) -> str:
    """One PNG file, in base64, of all frames (F, C, H, W), uint8, of 1 or 3 channels.

    It is H high and W F wide: the F values that a pixel takes, frame by frame, stand side by side.
    Since they change slowly, that is a third smaller than frames one below the other.

    Example:
        >>> import io, torch
        >>> from PIL import Image
        >>> frames = torch.tensor([0, 1, 100, 101], dtype=torch.uint8).view(2, 1, 1, 2)
        >>> np.asarray(Image.open(io.BytesIO(base64.b64decode(sprite(frames))))).tolist()
        [[0, 100, 1, 101]]
    """
    return _png(pictures.permute(2, 3, 0, 1).flatten(1, 2).numpy())


def _png(pixels: np.ndarray) -> str:
    """Of pixels (H, W, C)."""
    return base64.b64encode(png_bytes(pixels, optimize=True)).decode()
