"""LightningModules."""

from lightning_ecinn.modules.autoencoders import ClassAutoencoders
from lightning_ecinn.modules.ibinn import IBINN
from lightning_ecinn.modules.networks import InceptionV3, NetworkModule, SmallCNN

__all__ = ["IBINN", "ClassAutoencoders", "InceptionV3", "NetworkModule", "SmallCNN"]
