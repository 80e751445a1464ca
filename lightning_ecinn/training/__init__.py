"""LightningModules."""

from lightning_ecinn.training.autoencoders import ClassAutoencoders
from lightning_ecinn.training.ibinn import IBINN
from lightning_ecinn.training.networks import InceptionV3, NetworkModule, SmallCNN

__all__ = ["IBINN", "ClassAutoencoders", "InceptionV3", "NetworkModule", "SmallCNN"]
