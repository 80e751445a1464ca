"""One picture file to one small square array."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

__all__ = ["decode"]


def decode(content: bytes, size: int, channels: int, crop: bool = True) -> np.ndarray:
    """Decode a picture and resize it to a square.

    The picture is turned as its EXIF data say, transparent parts become white, and 16-bit grey
    levels are scaled so that 65535 is white. Then the central square is cut out, and resized by a
    Lanczos filter as wide as the shrinking asks for, so that nothing aliases. JPEGs much larger
    than `size` are decoded at a fraction of their size, at least twice `size`.

    Args:
        content: a file in any format that Pillow reads.
        size: height and width of the result.
        channels: 1 for grey levels, 3 for RGB; pictures of the other kind are converted.
        crop: cut the central square out; otherwise the whole picture is squeezed into the square.

    Returns:
        (channels, size, size) uint8.

    Raises:
        Exception: whatever Pillow raises for a damaged file, or one that is no picture.
    """
    with Image.open(BytesIO(content)) as file:
        file.draft(None, (2 * size, 2 * size))
        image = _flat(ImageOps.exif_transpose(file), "L" if channels == 1 else "RGB")
    if crop:  # not resize's box: its filter would reach over the edges
        image = image.crop(_central_square(*image.size))
    small = image.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(small).reshape(size, size, channels).transpose(2, 0, 1)


def _central_square(width: int, height: int) -> tuple[int, int, int, int]:
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _flat(image: Image.Image, mode: str) -> Image.Image:
    """Convert whatever there is to 8 bits of grey or RGB."""
    if image.mode.startswith("I"):
        image = _from_16_bit(image)
    elif image.mode == "F":
        raise ValueError("its grey levels are fractions, whose range is unknown")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _from_16_bit(image: Image.Image) -> Image.Image:
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65535:
        raise ValueError("its grey levels don't fit into 16 bits")
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
