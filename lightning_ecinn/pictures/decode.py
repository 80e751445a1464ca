"""One picture file to one small square array, in bounded memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["decode", "picture_size", "squared"]

_MOST_PIXELS = 178_956_970
"""Where Pillow suspects an attack."""
_GIANT = 2**25
"""Pixels from which pictures wait for each other, lest every thread hold one."""
_LARGE = 2**22
"""Pixels from which a picture is shrunk a strip at a time, lest there be copies of all of it."""
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")
"""Not all that Pillow knows: EPS is a program that another program runs, icons hide their size."""
_ORIENTATION = 0x0112
"""EXIF's number for how a picture is turned."""


def decode(content: bytes, size: int, channels: int, crop: bool = True) -> np.ndarray:
    """Decode a picture and resize it to a square.

    The picture is turned as its EXIF data say, transparent parts become white, and 16-bit grey
    levels are scaled so that 65535 is white. Then the central square is cut out, and resized by a
    Lanczos filter as wide as the shrinking asks for, so that nothing aliases. JPEGs much larger
    than `size` are decoded at a fraction of their size, at least twice `size`, and the pixels of
    other large pictures are averaged to such a size first.

    Of a moving picture it is the first. May be called from many threads; of pictures that take more
    than 32 million pixels to decode, one is decoded at a time.

    Args:
        content: a file: JPEG, PNG, TIFF, BMP, GIF, WebP, AVIF, JPEG 2000, PPM or TGA.
        size: height and width of the result.
        channels: 1 for grey levels, 3 for RGB; pictures of the other kind are converted.
        crop: cut the central square out; otherwise the whole picture is squeezed into the square.

    Returns:
        (channels, size, size) uint8.

    Raises:
        ValueError: it is no picture, or has more than 178 million pixels; seen before decoding.
        Exception: whatever Pillow raises for a damaged file.
    """
    mode = "L" if channels == 1 else "RGB"
    file = _open(content)
    pixels = file.width * file.height
    file.draft(None, (2 * size, 2 * size))
    if not file.info.get("progressive"):  # of which all is needed for a fraction too
        pixels = file.width * file.height
    if pixels <= _GIANT:
        image = _read(file, mode, size, crop)
    else:  # threads keep some of the memory that they free: it is always the same one that has much
        with _giants, ThreadPoolExecutor(1) as thread:
            image = thread.submit(_read, file, mode, size, crop).result()
    return _resized(image, size, channels, crop)


def squared(image: Image.Image, size: int, channels: int, crop: bool = True) -> np.ndarray:
    """Resize an open picture to a square, as `decode` does with one that lies in a file.

    Args:
        image: of any mode but fractions ("F").
        size: height and width of the result.
        channels: 1 for grey levels, 3 for RGB.
        crop: cut the central square out; otherwise squeeze the whole picture.

    Returns:
        (channels, size, size) uint8.

    Raises:
        ValueError: its grey levels have no known range.
    """
    flat = _flat(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB")
    return _resized(flat, size, channels, crop)


def picture_size(content: bytes) -> tuple[int, int]:
    """Return width and height of a picture as it lies in the file; nothing is decoded.

    Raises:
        ValueError: it is no picture, or has more than 178 million pixels.
        Exception: whatever Pillow raises for a damaged file.
    """
    with closing(_open(content)) as file:
        return file.size


_giants = threading.Lock()


def _resized(image: Image.Image, size: int, channels: int, crop: bool) -> np.ndarray:
    if crop:  # not resize's box: its filter would reach over the edges
        image = image.crop(_central_square(*image.size))
    small = image.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(small).reshape(size, size, channels).transpose(2, 0, 1)


def _open(content: bytes) -> Image.Image:
    """Read a picture's header; its size is checked by Pillow, and here where a user told it not to.

    Raises:
        ValueError: it is too large, or none.
    """
    Image.init()
    try:
        image = Image.open(BytesIO(content), formats=[f for f in _FORMATS if f in Image.OPEN])
        pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = _MOST_PIXELS + 1
    except UnidentifiedImageError:  # whose words are of bytes in memory, not of a file
        raise ValueError("cannot identify it as a picture of a kind that is read") from None
    if pixels > _MOST_PIXELS:
        raise ValueError("it has more than 178 million pixels: make it smaller")
    return image


def _read(file: Image.Image, mode: str, size: int, crop: bool) -> Image.Image:
    """Decode a picture, flatten and turn it; a large one is also shrunk, and perhaps cropped."""
    with closing(file):
        is_large = file.width * file.height > _LARGE
        image = _averaged(file, mode, size, crop) if is_large else file
        return _flat(ImageOps.exif_transpose(image), mode)


def _averaged(image: Image.Image, mode: str, size: int, crop: bool) -> Image.Image:
    """Flatten a large picture and average its pixels to at least 2 `size`, a strip at a time.

    Returns:
        The central square, or all of it; turned neither more nor less than before.
    """
    image.load()  # TIFFs are turned by this already
    left, top, right, bottom = _central_square(*image.size) if crop else (0, 0, *image.size)
    across, down = (max(1, min(64, n // (2 * size))) for n in (right - left, bottom - top))
    width, height = (right - left) // across, (bottom - top) // down
    left, top = left + (right - left) % across // 2, top + (bottom - top) % down // 2
    small = Image.new(mode, (width, height))
    rows = max(1, 2**20 // (width * across * down))
    for y in range(0, height, rows):
        end = min(y + rows, height)
        strip = image.crop((left, top + y * down, left + width * across, top + end * down))
        small.paste(_flat(strip, mode).reduce((across, down)), (0, y))
    small.getexif()[_ORIENTATION] = image.getexif().get(_ORIENTATION, 1)
    return small


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
