"""LightningModules."""

from lightning_ecinn.training.autoencoders import ClassAutoencoders
from lightning_ecinn.training.found import find_settings
from lightning_ecinn.training.ibinn import IBINN
from lightning_ecinn.training.minutes import epochs_within
from lightning_ecinn.training.networks import InceptionV3, NetworkModule, SmallCNN

__all__ = [
    "IBINN",
    "ClassAutoencoders",
    "InceptionV3",
    "NetworkModule",
    "SmallCNN",
    "epochs_within",
    "find_settings",
]
