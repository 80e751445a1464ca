"""Loaded before every test."""

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
