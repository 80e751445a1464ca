"""The paper in one room: class means, steps, counterfactuals, certificates."""

from lightning_ecinn.ecinn.certificates import Certificate
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.settings import PathSettings

__all__ = ["Certificate", "Counterfactual", "Explainer", "PathSettings"]
