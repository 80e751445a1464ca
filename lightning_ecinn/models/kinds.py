"""The kinds of models that checkpoints of this project hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from torch import nn

from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.classifier import ClassifierSettings, GenerativeClassifier
from lightning_ecinn.models.networks import build_network, network_class

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True)
class Kind:
    """A kind of model, and what is said where it is another one than needed.

    Attributes:
        entry: of a checkpoint: the model's ``config``; also the prefix of its weights.
        noun: what it is.
        needed: why another kind does not do.
        modules: the LightningModules that train it.
        types: the settings that a config may have, and their types.
        build: the model of a config, with random weights.
    """

    entry: str
    noun: str
    needed: str
    modules: tuple[str, ...]
    types: Callable[[dict[str, Any]], Mapping[str, Any]]
    build: Callable[[dict[str, Any]], nn.Module]


def _types(*arguments: Any) -> dict[str, Any]:
    """Every argument of classes or functions, and its type, but those that no config has."""
    found = {name: kind for one in arguments for name, kind in get_type_hints(one).items()}
    # A checkpoint holds its own weights: none are downloaded for a stranger's.
    return {name: kind for name, kind in found.items() if name not in ("weights", "return")}


KINDS = {
    kind.entry: kind
    for kind in (
        Kind(
            "classifier",
            "a generative classifier",
            "and counterfactuals need an invertible one",
            ("an IBINN",),
            lambda config: _types(GenerativeClassifier.__init__, ClassifierSettings),
            lambda config: GenerativeClassifier(**config),
        ),
        Kind(
            "network",
            "an ordinary network",
            "where an ordinary network is asked for",
            ("a SmallCNN", "an InceptionV3"),
            lambda config: _types(network_class(config).__init__) | {"kind": str},
            build_network,
        ),
        Kind(
            "autoencoders",
            "autoencoders",
            "where autoencoders are asked for",
            ("ClassAutoencoders",),
            lambda config: _types(Autoencoders.__init__),
            lambda config: Autoencoders(**config),
        ),
    )
}
"""By their entry."""
