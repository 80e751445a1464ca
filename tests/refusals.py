"""Bad files are refused in one sentence of ours, soon, and in little memory."""

import time
import tracemalloc

import pytest

NETWORK = {"blocks": (1,), "widths": (4,), "dropouts": (0,), "fc_width": 8}
SHAPE = (1, 4, 4)
"""A small classifier's, whose checkpoint is spoilt."""


def refused(read, path):
    """What is said of a file."""
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read(str(path))
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    message = str(caught.value)
    assert str(path) in message
    assert message.isprintable()
    assert len(message) < 800
    assert message.endswith(".")
    for word in ("weights_only", "arbitrary", "torch.load", "trust", "allowlist"):
        assert word not in message
    assert seconds < 5  # on a busy machine
    assert peak < 2**26
    return message
