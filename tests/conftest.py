"""Loaded before every test."""

import signal

import pytest
from hypothesis import HealthCheck, settings

# Before Lightning: lets torchvision import beside a torch that it was not compiled for.
import lightning_ecinn  # noqa: F401

# The same few examples everywhere; --hypothesis-profile=thorough tries many, other ones each time.
_EVERYWHERE = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("ci", max_examples=25, derandomize=True, **_EVERYWHERE)
settings.register_profile("thorough", max_examples=2000, **_EVERYWHERE)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def ctrl_c():
    """Ctrl-C is what it is in a terminal, where the tests run in the background too."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
