"""A disk that is full, for tests of what is written."""

import resource
from contextlib import contextmanager


@contextmanager
def full_disk(room):
    """No file of this process, or of those it starts, grows above `room` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
