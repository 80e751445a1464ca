"""Memory of a process on the CPU."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Numbers of malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees, for what it allocates next.

    By default glibc may hand large blocks back to the system and get them again, page by page,
    at the next layer. Whether it does depends on what a process has freed before: on a virtual
    machine the same training step took up to 1.4 times as long for it, in another process no
    longer at all. The peak stays the same; only between steps memory isn't given back.

    Returns:
        Whether it took effect: only with glibc, that is on most Linux systems.

    Example:
        >>> keep_freed_memory() in (True, False)  # at the beginning of a script
        True
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 2**30) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))
