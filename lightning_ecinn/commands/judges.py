"""The other models that `evaluate` asks about counterfactuals."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_ecinn.blackbox import AnyExplainer
from lightning_ecinn.evaluation import Judges
from lightning_ecinn.models import Autoencoders, Network, load_autoencoders, load_network

__all__ = ["load_judges"]


def load_judges(
    explainer: AnyExplainer,
    oracle: str | None,
    autoencoders: str | None,
    others: Mapping[str, str] | None = None,
) -> tuple[Judges, list[str]]:
    """The other models that are given, and a sentence about each one that is not.

    Args:
        explainer: makes what they judge.
        oracle: file of a classifier of the label that is explained.
        autoencoders: file of those of each class.
        others: files of classifiers of other labels, by the labels' names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: one is not for the classifier's images or classes.
    """
    network = None if oracle is None else load_network(oracle)
    encoders = None if autoencoders is None else load_autoencoders(autoencoders)
    _check_images(explainer, "oracle", oracle, network)
    _check_images(explainer, "autoencoders", autoencoders, encoders)
    if encoders is not None and encoders.num_classes != explainer.num_classes:
        raise ValueError(
            f"--autoencoders {autoencoders} knows {encoders.num_classes} classes, but the "
            f"classifier has {explainer.num_classes}: give those of the same classes."
        )
    networks = {name: load_network(path) for name, path in (others or {}).items()}
    for name, other in networks.items():
        _check_images(explainer, f"other_oracles.{name}", (others or {})[name], other)
    same = network is None or network.class_names == explainer.class_names
    return Judges(network, same, encoders, networks), _notes(network, same, encoders)


def _check_images(
    explainer: AnyExplainer, option: str, given: str | None, model: Network | Autoencoders | None
) -> None:
    if model is not None and model.image_shape != explainer.image_shape:
        raise ValueError(
            f"--{option} {given} is for images {model.image_shape}, but the classifier's are "
            f"{explainer.image_shape}: give one that was trained on the same images."
        )


def _notes(network: Network | None, same: bool, encoders: Autoencoders | None) -> list[str]:
    """What is missing without them."""
    notes = []
    if network is None:
        notes.append(
            "Without --oracle CKPT there is no FID, LVS or share on which an oracle sees q: "
            "oracle_mnist.yaml and oracle_fake_mnist.yaml train one."
        )
    if encoders is None:
        notes.append(
            "Without --autoencoders FILE there is no IM1 or IM2: autoencoders_mnist.yaml and "
            "autoencoders_fake_mnist.yaml train them."
        )
    if network is not None and not same:
        names = ", ".join(network.class_names)
        notes.append(f"The oracle knows other classes ({names}): it can't say whether it sees q.")
    return notes
