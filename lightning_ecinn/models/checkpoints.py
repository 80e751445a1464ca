"""Trained models from files, read so that a file can never run code."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn import shipped
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.networks import Network, build_network

__all__ = [
    "checkpoint_config",
    "load_classifier",
    "load_model",
    "load_network",
    "read_weights",
]

_CLASSIFIER, _NETWORK, _AUTOENCODERS = "classifier", "network", "autoencoders"
"""The entry that builds a model again, and the prefix of its weights."""

_LATER_SETTINGS = {"dct": True}
"""What checkpoints do not say that are older than the setting."""

_HOLDS = {
    _CLASSIFIER: "a generative classifier",
    _NETWORK: "an ordinary network",
    _AUTOENCODERS: "autoencoders",
}
_NEEDED = {
    (_CLASSIFIER,): "and counterfactuals need an invertible one: give the checkpoint of an IBINN",
    (_NETWORK,): "where an ordinary network is asked for: give the checkpoint of a SmallCNN or an "
    "InceptionV3",
    (_AUTOENCODERS,): "where autoencoders are asked for: give the checkpoint of ClassAutoencoders",
    (_CLASSIFIER, _NETWORK): "where a classifier is asked for: give the checkpoint of an IBINN, a "
    "SmallCNN or an InceptionV3",
}


def load_classifier(path: str | PathLike[str]) -> GenerativeClassifier:
    """The classifier in a checkpoint of this project, on the CPU, in float32.

    The file is read with ``weights_only=True``: a checkpoint can never run code.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a checkpoint of this project, or holds an ordinary network.
    """
    model = _model(path, _read_checkpoint(path, (_CLASSIFIER,)))
    assert isinstance(model, GenerativeClassifier)
    return model


def load_network(path: str | PathLike[str]) -> Network:
    """The ordinary network in a checkpoint of this project, on the CPU, in float32.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a checkpoint of this project, or holds a generative
            classifier.
    """
    model = _model(path, _read_checkpoint(path, (_NETWORK,)))
    assert isinstance(model, Network)
    return model


def load_model(path: str | PathLike[str]) -> GenerativeClassifier | Network:
    """What a checkpoint of this project holds: a generative classifier or an ordinary network.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a checkpoint of this project.
    """
    return _model(path, _read_checkpoint(path, (_CLASSIFIER, _NETWORK)))


def checkpoint_config(path: str | PathLike[str], entry: str = _CLASSIFIER) -> dict[str, Any]:
    """What builds the model of a checkpoint again: the model's ``config``.

    Args:
        path: the checkpoint.
        entry: the kind of model that it must hold, "classifier", "network" or "autoencoders".
    """
    config = dict(_read_checkpoint(path, (entry,))[entry])
    return _LATER_SETTINGS | config if entry == _CLASSIFIER else config


def read_weights(
    path: str | PathLike[str], *, kind: str, remedy: str, entries: Sequence[str]
) -> dict[str, Any]:
    """A file of weights, read with ``weights_only=True``, with the entries that it must have.

    Raises:
        FileNotFoundError: if there is no such file; says the remedy.
        ValueError: if it is not of this kind.
    """
    path = shipped.resolve(path)
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path.absolute()}: {remedy}.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for files that are not checkpoints
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{path} is not {kind}: {reason}") from None
    _check_entries(path, checkpoint, kind, entries)
    return checkpoint


def _check_entries(
    path: str | PathLike[str], checkpoint: Any, kind: str, entries: Sequence[str]
) -> None:
    for entry in entries:
        if not isinstance(checkpoint, dict) or entry not in checkpoint:
            raise ValueError(f"{path} is not {kind}: it has no entry '{entry}'.")


def _read_checkpoint(path: str | PathLike[str], allowed: Sequence[str]) -> dict[str, Any]:
    """A checkpoint with one of the allowed kinds of model."""
    kind = f"a checkpoint of a lightning_ecinn {allowed[0] if len(allowed) == 1 else 'model'}"
    remedy = "give the path of a .ckpt file written by `fit`"
    checkpoint = read_weights(path, kind=kind, remedy=remedy, entries=())
    held = _held(checkpoint)
    if held is not None and held not in allowed:
        raise ValueError(f"{path} holds {_HOLDS[held]}, {_NEEDED[tuple(allowed)]}.")
    if held is None and len(allowed) > 1:
        names = " nor ".join(f"'{entry}'" for entry in allowed)
        raise ValueError(f"{path} is not {kind}: it has neither an entry {names}.")
    _check_entries(path, checkpoint, kind, (held or allowed[0], "state_dict"))
    return checkpoint


def _held(checkpoint: Any) -> str | None:
    """The kind of model in a checkpoint."""
    entries = checkpoint if isinstance(checkpoint, dict) else {}
    return next((entry for entry in _HOLDS if entry in entries), None)


def _model(path: str | PathLike[str], checkpoint: dict[str, Any]) -> GenerativeClassifier | Network:
    held = _held(checkpoint)
    assert held is not None
    model: GenerativeClassifier | Network
    try:
        if held == _CLASSIFIER:
            model = GenerativeClassifier(**checkpoint[held])
        else:
            model = build_network(checkpoint[held])
        model.load_state_dict(_weights_of(checkpoint["state_dict"], f"{held}."))
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f"The {held} in {path} does not fit this version of lightning_ecinn: {error}"
        ) from None
    return model.eval()


def _weights_of(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): value for k, value in state.items() if k.startswith(prefix)}
