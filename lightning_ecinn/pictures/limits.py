"""How large a file may be that is read whole."""

__all__ = ["MOST_BYTES", "check_bytes"]

MOST_BYTES = 2**28
"""Of one file, unpacked: a photograph of 50 megapixels needs a tenth of it, or all uncompressed."""


def check_bytes(number: int) -> None:
    """Refuse a file of too many bytes.

    Raises:
        ValueError: the end of a sentence, of which the caller knows the beginning: the file's name.

    Example:
        >>> check_bytes(10**9)
        Traceback (most recent call last):
        ValueError: it has 1,000 MB, more than 268 MB
    """
    if number > MOST_BYTES:
        raise ValueError(f"it has {number / 1e6:,.0f} MB, more than {MOST_BYTES / 1e6:.0f} MB")
