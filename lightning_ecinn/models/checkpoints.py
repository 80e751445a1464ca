"""Checkpoints of this project: what kind of model one holds, and that model.

A new kind of model is one more entry in :data:`KINDS`, in ``kinds.py``. Files are read with
``weights_only=True``: a checkpoint can never run code. Nor can it ask for more than it holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lightning_ecinn import shipped
from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.files import archive_name, check_entries, read_weights
from lightning_ecinn.models.fitting import (
    build_small,
    check_finite,
    check_settings,
    check_weights,
    load_fitting,
)
from lightning_ecinn.models.kinds import KINDS, Kind
from lightning_ecinn.models.networks import Network
from lightning_ecinn.models.published_autoencoders import read_published_autoencoders
from lightning_ecinn.models.weight_files import describe_content
from lightning_ecinn.plain_text import plain

__all__ = [
    "KINDS",
    "READING",
    "Checkpoint",
    "Kind",
    "load_autoencoders",
    "load_classifier",
    "load_model",
    "load_network",
    "read_checkpoint",
    "rename_earlier",
]

READING = "reading"
"""How picture files became images, where the data were files."""

_STATE = "state_dict"
_EARLIER_NAMES = {"step": "convincing_step"}
"""Settings that have another name since."""
_CLASSIFIERS = ("classifier", "network")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read, and whose weights fit what it says of its model.

    Attributes:
        path: the file.
        kind: what it holds.
        content: everything in it.
        config: what builds the model again: the ``config`` of the model that was saved.
    """

    path: Path
    kind: Kind
    content: dict[str, Any]
    config: dict[str, Any]
    _model: nn.Module

    @property
    def settings(self) -> dict[str, Any]:
        """What the module that was saved was made with, as far as the file says."""
        settings = dict(self.content.get("hyper_parameters", {}))
        rename_earlier(settings)
        return settings

    @property
    def crop(self) -> bool:
        """Whether its data set cut the central square out of picture files, as by default."""
        reading = self.content.get(READING)
        return not isinstance(reading, dict) or reading.get("crop") is not False

    def check_kind(self, *entries: str) -> None:
        """Raise a ValueError unless it holds a model of one of these kinds."""
        _check_kind(self.path, self.kind, [KINDS[entry] for entry in entries])

    def model(self) -> nn.Module:
        """The model, on the CPU, in float32, in evaluation mode; the same one at every call."""
        return self._model


def read_checkpoint(ckpt_path: str | PathLike[str], *entries: str) -> Checkpoint:
    """Read a checkpoint that holds a model of one of the given kinds.

    Args:
        ckpt_path: a ``.ckpt`` file written by ``fit``, or the name of a model that ships with the
            package, such as "pretrained:mnist".
        *entries: names in :data:`KINDS`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a checkpoint of this project, or is damaged, or holds another
            kind of model, or weights that do not fit it or are no finite numbers.
    """
    wanted = [KINDS[entry] for entry in entries]
    modules = [module for kind in wanted for module in kind.modules]
    asked_for = entries[0] if len(entries) == 1 else "model"
    title = f"a checkpoint of a lightning_ecinn {asked_for}"
    names = _either([module.split()[-1] for module in modules])
    remedy = f"give the path of a .ckpt file written by `fit` with model {names}"
    content = read_weights(ckpt_path, kind=title, remedy=remedy)
    path = shipped.resolve(ckpt_path)
    keys = content if isinstance(content, dict) else {}
    held = next((kind for kind in KINDS.values() if kind.entry in keys), None)
    if held is not None:
        _check_kind(path, held, wanted)
    if held is None and len(wanted) > 1:
        missing = " nor ".join(f"'{entry}'" for entry in entries)
        raise ValueError(
            f"{path} is not {title}: it has neither an entry {missing}; "
            f"{describe_content(content)}; {remedy}."
        )
    kind = held or wanted[0]
    check_entries(path, content, title, (kind.entry, _STATE), remedy)
    return _checked(path, kind, content)


def load_classifier(ckpt_path: str | PathLike[str]) -> GenerativeClassifier:
    """The classifier in a checkpoint of this project, on the CPU, in float32.

    Args:
        ckpt_path: see :func:`read_checkpoint`; so are the errors.

    Example:
        >>> classifier = load_classifier("pretrained:mnist_small")
        >>> classifier.num_classes, classifier.image_shape
        (10, (1, 28, 28))
    """
    model = read_checkpoint(ckpt_path, "classifier").model()
    assert isinstance(model, GenerativeClassifier)
    return model


def load_network(ckpt_path: str | PathLike[str]) -> Network:
    """The ordinary network in a checkpoint of this project, on the CPU, in float32.

    Args:
        ckpt_path: see :func:`read_checkpoint`; so are the errors.

    Example:
        >>> load_network("pretrained:mnist_small")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: ... holds a generative classifier, where an ordinary network is asked for: ...
    """
    model = read_checkpoint(ckpt_path, "network").model()
    assert isinstance(model, Network)
    return model


def load_model(ckpt_path: str | PathLike[str]) -> GenerativeClassifier | Network:
    """What a checkpoint of this project holds: a generative classifier or an ordinary network.

    Args:
        ckpt_path: see :func:`read_checkpoint`; so are the errors.

    Example:
        >>> type(load_model("pretrained:fake_mnist")).__name__
        'GenerativeClassifier'
    """
    model = read_checkpoint(ckpt_path, *_CLASSIFIERS).model()
    assert isinstance(model, GenerativeClassifier | Network)
    return model


def load_autoencoders(ckpt_path: str | PathLike[str]) -> Autoencoders:
    """The autoencoders in a file, on the CPU, in float32, in evaluation mode.

    Args:
        ckpt_path: a checkpoint of `ClassAutoencoders`; or published ones, ``FILE.npz:PREFIX`` with
            arrays such as ``PREFIX/ae_0/conv0/weight``, of pictures of 28 x 28. Without a prefix
            the file must hold one set.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file holds no autoencoders, or not those of the prefix.

    Example:
        >>> load_autoencoders("nowhere.npz:mnist")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: There are no autoencoders at .../nowhere.npz.
    """
    archive, prefix = archive_name(str(ckpt_path))
    if archive.suffix == ".npz":
        return read_published_autoencoders(archive.expanduser(), prefix)
    model = read_checkpoint(ckpt_path, "autoencoders").model()
    assert isinstance(model, Autoencoders)
    return model


def rename_earlier(settings: MutableMapping[str, Any]) -> None:
    """Give settings of earlier versions their present names, in place."""
    for earlier in settings.keys() & _EARLIER_NAMES.keys():
        settings.setdefault(_EARLIER_NAMES[earlier], settings.pop(earlier))


def _checked(path: Path, kind: Kind, content: dict[str, Any]) -> Checkpoint:
    """What is in a file, if its parts fit together."""
    with _fitting(path, kind):
        config = _config(kind, content)
        weights = _with_prefix(content[_STATE], f"{kind.entry}.")
        check_weights(weights, path.stat().st_size)
        _check_size(kind, config, weights)
    check_finite(str(path), weights)
    with _fitting(path, kind):
        model = build_small(lambda: kind.build(config), weights.values())
        load_fitting(model, weights)
    return Checkpoint(path, kind, content, config, model.eval())


@contextmanager
def _fitting(path: Path, kind: Kind) -> Iterator[None]:
    """Say of whose parts it is that a ValueError says that they do not fit."""
    try:
        yield
    except ValueError as error:
        reason = plain(str(error)[:400]).rstrip(".")
        raise ValueError(
            f"What {path} holds, {kind.noun}, does not fit this version of lightning_ecinn: "
            f"{reason}."
        ) from None


def _config(kind: Kind, content: dict[str, Any]) -> dict[str, Any]:
    config = content[kind.entry]
    check_settings(config, kind.types(config) if isinstance(config, dict) else {})
    if not isinstance(content.get("hyper_parameters", {}), dict):
        raise ValueError("its hyper_parameters are no dict")
    config = {"dct": True, **config} if kind.entry == "classifier" else dict(config)  # older files
    if config.get("class_names") is not None:  # they are printed
        config["class_names"] = [plain(name) for name in config["class_names"]]
    return config


def _check_size(kind: Kind, config: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """Raise a ValueError where the size of what is made of images or classes alone is unfounded."""
    num_classes, shape = config["num_classes"], config["image_shape"]
    if kind.entry == "classifier":
        means = weights.get("mixture.component_means")
        expected = (num_classes, math.prod(shape))
        if means is None or tuple(means.shape) != expected:
            raise ValueError(
                f"{num_classes} classes of images {shape} have means of shape {expected}, not "
                f"{None if means is None else tuple(means.shape)}"
            )
    elif not 1 <= num_classes <= sum(value.numel() for value in weights.values()):
        raise ValueError(f"it has no weights for {num_classes} classes")


def _check_kind(path: Path, held: Kind, wanted: list[Kind]) -> None:
    if held not in wanted:
        needed = wanted[0].needed if len(wanted) == 1 else "where a classifier is asked for"
        modules = [module for kind in wanted for module in kind.modules]
        raise ValueError(
            f"{path} holds {held.noun}, {needed}: give the checkpoint of {_either(modules)}."
        )


def _with_prefix(state: Any, prefix: str) -> dict[str, Tensor]:
    """The weights of one part by their names in it."""
    if not isinstance(state, dict):
        raise ValueError(f"its weights are a {type(state).__name__}, not a dict")
    named = {name: value for name, value in state.items() if isinstance(name, str)}
    return {k.removeprefix(prefix): value for k, value in named.items() if k.startswith(prefix)}


def _either(names: list[str]) -> str:
    """Names as "a, b or c"."""
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
