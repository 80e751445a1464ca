"""What has weights, and how it is read from files."""

from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.checkpoints import (
    load_autoencoders,
    load_classifier,
    load_model,
    load_network,
)
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.mixture import GaussianMixture
from lightning_ecinn.models.networks import ConvNetwork, InceptionNetwork, Network
from lightning_ecinn.models.published import import_ibinn

__all__ = [
    "Autoencoders",
    "ConvNetwork",
    "GaussianMixture",
    "GenerativeClassifier",
    "InceptionNetwork",
    "Network",
    "import_ibinn",
    "load_autoencoders",
    "load_classifier",
    "load_model",
    "load_network",
]
