"""Counterfactuals of any classifier, through a flow of the same images."""

from lightning_ecinn.blackbox.explainer import BlackBoxExplainer
from lightning_ecinn.blackbox.options import AskedOptions
from lightning_ecinn.blackbox.predictor import Predictor
from lightning_ecinn.ecinn.explainer import Explainer

__all__ = ["AnyExplainer", "AskedOptions", "BlackBoxExplainer", "Predictor", "flow_of"]

AnyExplainer = Explainer | BlackBoxExplainer
"""Explains a flow's own classifier, or another one through a flow."""


def flow_of(explainer: AnyExplainer) -> Explainer:
    """The explainer of the flow itself."""
    return explainer.flow if isinstance(explainer, BlackBoxExplainer) else explainer
