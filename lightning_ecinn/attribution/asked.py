"""Heatmaps of a classifier that is explained through a flow: what it can be asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_ecinn.blackbox.black_box import BlackBox
from lightning_ecinn.blackbox.fitted import Fitted

__all__ = ["Asked", "why_not"]


class Asked(nn.Module):
    """The classifier of a `BlackBoxExplainer` as a module from images to logits (B, K)."""

    def __init__(self, explainer: BlackBox):
        super().__init__()
        self.predictor = explainer.predictor
        self.image_shape, self.class_names = explainer.image_shape, explainer.class_names
        self.explained = explainer.predictor.module

    def forward(self, images: Tensor) -> Tensor:
        """Logits, logarithms of probabilities, or 1 for the label and 0 for the others."""
        if self.predictor.answers == "labels":
            return self.predictor(images).to(images)
        return self.predictor.scores(images)


def why_not(model: Any, method: str) -> str:
    """Why a method has no heatmaps of a model: a sentence, or "" where it has.

    Args:
        model: anything; only classifiers that are asked lack some.
        method: its name.
    """
    if not isinstance(model, BlackBox) or method == "ecinnh":
        return ""
    if model.predictor.answers == "labels":
        return "the classifier answers with labels, which rise and fall in no heatmap"
    if method == "occlusion":
        return ""
    asked = Asked(model)
    if not _has_gradients(asked):
        return "the classifier's answers have no gradient in the pictures; occlusion needs none"
    if method.startswith("deep_lift") and not _has_layers(asked):
        return "DeepLift's rules need the classifier's layers, and a function or a file has none"
    return ""


def _has_gradients(asked: Asked) -> bool:
    with torch.inference_mode(False), torch.enable_grad():
        device = next((p.device for p in asked.parameters()), torch.device("cpu"))
        picture = torch.full((1, *asked.image_shape), 0.5, device=device, requires_grad=True)
        return asked(picture).requires_grad


def _has_layers(asked: Asked) -> bool:
    """Whether it is a tree of Python's modules, in which activations can be hooked."""
    compiled = (torch.jit.ScriptModule, torch.fx.GraphModule)
    explained = asked.explained
    inner = explained.predict if isinstance(explained, Fitted) else explained
    return isinstance(inner, nn.Module) and not any(
        isinstance(module, compiled) for module in inner.modules()
    )
