"""Checkpoints of this project: what kind of model one holds, and that model.

A new kind of model is one more entry in :data:`KINDS`. Files are read with ``weights_only=True``:
a checkpoint can never run code.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lightning_ecinn import shipped
from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.files import archive_name, check_entries, read_weights
from lightning_ecinn.models.networks import Network, build_network
from lightning_ecinn.models.published_autoencoders import read_published_autoencoders

__all__ = [
    "KINDS",
    "Checkpoint",
    "Kind",
    "load_autoencoders",
    "load_classifier",
    "load_model",
    "load_network",
    "read_checkpoint",
    "rename_earlier",
]

_STATE = "state_dict"
_EARLIER_NAMES = {"step": "convincing_step"}
"""Settings that have another name since."""


@dataclass(frozen=True)
class Kind:
    """A kind of model, and what is said where it is another one than needed.

    Attributes:
        entry: of a checkpoint: the model's ``config``; also the prefix of its weights.
        noun: what it is.
        needed: why another kind does not do.
        modules: the LightningModules that train it.
        build: the model of a config, with random weights.
    """

    entry: str
    noun: str
    needed: str
    modules: tuple[str, ...]
    build: Callable[[dict[str, Any]], nn.Module]


def _classifier(config: dict[str, Any]) -> GenerativeClassifier:
    return GenerativeClassifier(**config)


KINDS = {
    kind.entry: kind
    for kind in (
        Kind(
            "classifier",
            "a generative classifier",
            "and counterfactuals need an invertible one",
            ("an IBINN",),
            _classifier,
        ),
        Kind(
            "network",
            "an ordinary network",
            "where an ordinary network is asked for",
            ("a SmallCNN", "an InceptionV3"),
            build_network,
        ),
        Kind(
            "autoencoders",
            "autoencoders",
            "where autoencoders are asked for",
            ("ClassAutoencoders",),
            lambda config: Autoencoders(**config),
        ),
    )
}
"""By their entry."""

_CLASSIFIERS = ("classifier", "network")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read.

    Attributes:
        path: the file.
        kind: what it holds.
        content: everything in it.
    """

    path: Path
    kind: Kind
    content: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """What builds the model again: the ``config`` of the model that was saved."""
        later = {"dct": True} if self.kind.entry == "classifier" else {}  # older than the setting
        return later | self.content[self.kind.entry]

    @property
    def settings(self) -> dict[str, Any]:
        """What the module that was saved was made with, as far as the file says."""
        settings = dict(self.content.get("hyper_parameters", {}))
        rename_earlier(settings)
        return settings

    def check_kind(self, *entries: str) -> None:
        """Raise a ValueError unless it holds a model of one of these kinds."""
        _check_kind(self.path, self.kind, [KINDS[entry] for entry in entries])

    def model(self) -> nn.Module:
        """The model, on the CPU, in float32, in evaluation mode.

        Raises:
            ValueError: its weights do not fit.
        """
        try:
            model = self.kind.build(self.config)
            model.load_state_dict(_with_prefix(self.content[_STATE], f"{self.kind.entry}."))
        except (TypeError, RuntimeError) as error:
            raise ValueError(
                f"What {self.path} holds, {self.kind.noun}, does not fit this version of "
                f"lightning_ecinn: {error}"
            ) from None
        return model.eval()


def read_checkpoint(ckpt_path: str | PathLike[str], *entries: str) -> Checkpoint:
    """Read a checkpoint that holds a model of one of the given kinds.

    Args:
        ckpt_path: a ``.ckpt`` file written by ``fit``, or the name of a model that ships with the
            package, such as "pretrained:mnist".
        *entries: names in :data:`KINDS`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a checkpoint of this project, or holds another kind of model.
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
        raise ValueError(f"{path} is not {title}: it has neither an entry {missing}.")
    kind = held or wanted[0]
    check_entries(path, content, title, (kind.entry, _STATE))
    return Checkpoint(path, kind, content)


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


def _check_kind(path: Path, held: Kind, wanted: list[Kind]) -> None:
    if held not in wanted:
        needed = wanted[0].needed if len(wanted) == 1 else "where a classifier is asked for"
        modules = [module for kind in wanted for module in kind.modules]
        raise ValueError(
            f"{path} holds {held.noun}, {needed}: give the checkpoint of {_either(modules)}."
        )


def _with_prefix(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights of one part by their names in it."""
    return {k.removeprefix(prefix): value for k, value in state.items() if k.startswith(prefix)}


def _either(names: list[str]) -> str:
    """Names as "a, b or c"."""
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
