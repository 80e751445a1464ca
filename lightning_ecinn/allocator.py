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

    By default glibc hands large blocks back to the system at once and gets them again, page by
    page, at the next layer: on virtual machines that can cost a third of a training step. The
    peak of the memory stays the same; only between steps it isn't given back.

    Returns:
        Whether it took effect: only with glibc, that is on most Linux systems.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 2**30) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))
