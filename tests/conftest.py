"""Loaded before every test."""

# Before Lightning: lets torchvision import beside a torch that it was not compiled for.
import lightning_ecinn  # noqa: F401
