"""Counterfactuals of any classifier, through a flow of the same images."""

from lightning_ecinn.blackbox.explainer import BlackBoxExplainer
from lightning_ecinn.blackbox.predictor import Predictor

__all__ = ["BlackBoxExplainer", "Predictor"]
