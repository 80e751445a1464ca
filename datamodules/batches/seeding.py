"""One place that turns seeds into random streams."""

import numpy as np

SPLIT, ORDER, SHIFT, FAKE_LABELS, FLIP, FACES, BALANCE, FAKE_SHORTCUTS = range(8)
"""Names of the streams: draws for different purposes stay independent under one seed."""


def random_state(seed: int, stream: int, *key: int) -> np.random.RandomState:
    """Return a fresh generator that depends on the arguments alone.

    `RandomState` because numpy guarantees its draws for good: a split or a FakeMNIST label is the
    same in every later version.

    Args:
        seed: the user's seed, at least 0.
        stream: what the draws are for, one of this module's names.
        key: further coordinates (epoch, batch, rank).
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(stream, *key))
    return np.random.RandomState(np.random.MT19937(sequence))
