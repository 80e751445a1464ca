"""Counterfactual explanations in closed form from invertible classifiers (ECINN)."""

from lightning_ecinn.torchvision_guard import import_torchvision

import_torchvision()  # before anything imports torchmetrics or Lightning

from lightning_ecinn.certificates import Certificate  # noqa: E402
from lightning_ecinn.checkpoints import load_classifier, load_model, load_network  # noqa: E402
from lightning_ecinn.classifier import GenerativeClassifier  # noqa: E402
from lightning_ecinn.counterfactuals import Counterfactual  # noqa: E402
from lightning_ecinn.explainer import Explainer  # noqa: E402
from lightning_ecinn.flows import ib_inn  # noqa: E402
from lightning_ecinn.importing import import_ibinn  # noqa: E402
from lightning_ecinn.networks import ConvNetwork, InceptionNetwork, Network  # noqa: E402

__all__ = [
    "Certificate",
    "ConvNetwork",
    "Counterfactual",
    "Explainer",
    "GenerativeClassifier",
    "InceptionNetwork",
    "Network",
    "ib_inn",
    "import_ibinn",
    "load_classifier",
    "load_model",
    "load_network",
]
__version__ = "0.1.0"
