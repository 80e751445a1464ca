"""One thread at a time where something shared is changed for a moment."""

from __future__ import annotations

import os
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["lock_of"]

_LOCKS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

if hasattr(os, "register_at_fork"):  # not on Windows
    # The threads that hold a lock do not exist in a child process.
    os.register_at_fork(after_in_child=_LOCKS.clear)


def lock_of(thing: Any) -> RLock:  # type: ignore[valid-type]
    """The lock of an object, always the same; kept here, since objects with locks can't be copied.

    Example:
        >>> thing = type("Thing", (), {})()
        >>> with lock_of(thing), lock_of(thing):  # the thread that has it may take it again
        ...     lock_of(thing) is lock_of(thing)
        True
    """
    return _LOCKS.setdefault(thing, RLock())
