"""Checkpoints of the published IB-INN code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lightning_ecinn import shipped
from lightning_ecinn.flows import FixedPermutation
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.files import check_entries, read_weights
from lightning_ecinn.models.fitting import build_small, check_finite, check_weights, load_fitting

__all__ = [
    "Published",
    "import_ibinn",
    "published_dropouts",
    "read_published",
]


_KEY = re.compile(r"module_list\.(\d+)\.(.+)")

# Each kind of node, and an entry that only it has.
_KINDS = {
    "haar": "haar_weights",
    "coupling": "act_norm",
    "downsampling": "reshape_kernels.0",
    "dct": "inv_weight",
    "fc": "s1.0.weight",
}
# The published code's names and ours; every other name is the same.
_RENAMED = {
    r"^act_norm$": "log_scale",
    r"^act_offset$": "offset",
    r"^w$": "rotation.matrix",
    r"^s\.": "subnet.",
    r"^s_hi\.": "subnet_high.",
    r"^s_lo\.": "subnet_low.",
    r"^s([12])\.": r"subnet\1.",
    r"^weight$": "dct.matrix",
}
# Inverses and fixed kernels, which follow from the rest.
_DERIVED = re.compile(r"w_inv|inv_weight|reshape_kernels\.\d+")


class _Node(NamedTuple):
    number: int
    kind: str
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Published:
    """A checkpoint of the published IB-INN code that has been read.

    Attributes:
        nodes: the network's nodes that have weights, in order.
        component_means: (K, D).
        mixture_logits: phi (K,).
        network: what the weights tell of the classifier's arguments, ``image_shape`` and
            ``num_classes`` among them; not clamp, dropouts and names.
    """

    nodes: list[_Node]
    component_means: Tensor
    mixture_logits: Tensor
    network: dict[str, Any]

    def load_into(self, classifier: GenerativeClassifier) -> None:
        """Give a classifier of this network the weights.

        Raises:
            ValueError: names the first entry that does not fit.
        """
        _load(classifier.flow, _translated(self.nodes, classifier.flow))
        mixture = {
            "component_means": ("mu", self.component_means),
            "mixture_logits": ("phi", self.mixture_logits),
            "temperature": ("no entry", torch.ones(())),
        }
        _load(classifier.mixture, mixture)


def read_published(path: str | PathLike[str]) -> Published:
    """Read a checkpoint of the published IB-INN code, with ``weights_only=True``.

    Args:
        path: a file with the entries ``inn`` (a state dict), ``mu`` and ``phi``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not such a checkpoint; names the first entry that does not fit.
    """
    kind = "a checkpoint of the published IB-INN code"
    remedy = "give a file saved by the published IB-INN code"
    checkpoint = read_weights(path, kind=kind, remedy=remedy)
    check_entries(path, checkpoint, kind, ("inn", "mu", "phi"), remedy)
    try:
        weights = _weights(checkpoint)
        check_weights(weights, shipped.resolve(path).stat().st_size)
        published = _described(checkpoint)
        published.load_into(_small(published))
    except (IndexError, StopIteration):  # of shapes that no weights of this code have
        reason = "its weights have other shapes"
    except ValueError as error:
        reason = str(error).rstrip(".")
    else:
        check_finite(str(path), weights)
        return published
    raise ValueError(f"{path} is not {kind}: {reason[0].lower()}{reason[1:]}; {remedy}.")


def _weights(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """What should be weights, by the names that the file has for them."""
    inn = checkpoint["inn"]
    if not isinstance(inn, dict):
        raise ValueError("entry 'inn' does not fit: it is no dict of weights")
    # Activations are there too, in checkpoints written in the middle of training.
    weights = {f"inn.{key}": value for key, value in inn.items() if "tmp_var" not in str(key)}
    return weights | {key: checkpoint[key] for key in ("mu", "phi")}


def _described(checkpoint: dict[str, Any]) -> Published:
    """What the entries tell, once they are known to be weights."""
    nodes, means = _nodes(checkpoint["inn"]), checkpoint["mu"].flatten(0, -2)
    network = _network(nodes)
    described = {
        "image_shape": list(_image_shape(nodes, means.shape[1])),
        "num_classes": len(means),
    }
    return Published(nodes, means, checkpoint["phi"], described | network)


def _small(published: Published) -> GenerativeClassifier:
    """A classifier to try the weights on."""
    network = published.network
    dropouts = published_dropouts(len(network["blocks"]))
    weights = [value for node in published.nodes for value in node.weights.values()]
    return build_small(
        lambda: GenerativeClassifier(**network, dropouts=dropouts),
        [*weights, published.component_means],
    )


def import_ibinn(
    path: str | PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    dropouts: Sequence[float] | None = None,
    **settings: Any,
) -> GenerativeClassifier:
    """The classifier in a checkpoint of the published IB-INN code, in evaluation mode.

    Blocks, widths, classes and the shape of the images are read off the weights. What the weights
    do not tell are arguments, by default the published settings. Such a file has no class means:
    build them before explaining (``python -m lightning_ecinn import-ibinn`` does).

    Args:
        path: as for :func:`read_published`; so are the errors.
        dtype: precision of the result.
        dropouts: dropout of each stage, for further training; by default 0.25 in the last one.
        **settings: further ones of :class:`GenerativeClassifier`, such as ``clamp``, ``fc_dropout``
            and ``class_names``.

    Example:
        >>> import_ibinn("nowhere.pt")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: No checkpoint at .../nowhere.pt: give a file saved by the published ...
    """
    published = read_published(path)
    if dropouts is None:
        dropouts = published_dropouts(len(published.network["blocks"]))
    classifier = GenerativeClassifier(**published.network, dropouts=dropouts, **settings)
    published.load_into(classifier)
    return classifier.to(dtype).eval()


def published_dropouts(num_stages: int) -> list[float]:
    """The published dropout of each stage: 0.25 in the last one."""
    return [0.0] * (num_stages - 1) + [0.25]


def _nodes(weights: dict[str, Tensor]) -> list[_Node]:
    """The nodes of the entries "inn"."""
    found: dict[int, dict[str, Tensor]] = {}
    for key, value in weights.items():
        if "tmp_var" in key:  # activations
            continue
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(
                f"Entry 'inn.{key}' does not fit: expected names like 'module_list.3.act_norm'."
            )
        found.setdefault(int(match[1]), {})[match[2]] = value
    return [_Node(number, _kind(number, found[number]), found[number]) for number in sorted(found)]


def _kind(number: int, weights: dict[str, Tensor]) -> str:
    for kind, key in _KINDS.items():
        if key in weights:
            return kind
    raise ValueError(
        f"Entry 'inn.module_list.{number}.{min(weights)}' does not fit: expected a block with one "
        f"of {', '.join(_KINDS.values())}."
    )


def _network(nodes: list[_Node]) -> dict[str, Any]:
    """What the weights tell of the flow's arguments."""
    stages: list[list[_Node]] = [[]]
    for node in nodes:
        if node.kind == "downsampling":
            stages.append([])
        elif node.kind == "coupling":
            stages[-1].append(node)
    if not all(stages):
        raise ValueError(
            "The entries 'inn' hold no coupling block before or between the downsampling blocks: "
            "expected at least one in each stage."
        )
    widths = [
        next(value.shape[0] for name, value in stage[0].weights.items() if name.startswith("s."))
        for stage in stages
    ]
    fc = [node.weights["s1.0.weight"].shape[0] for node in nodes if node.kind == "fc"]
    return {
        "blocks": [len(stage) for stage in stages],
        "widths": widths,
        "fc_blocks": len(fc),
        "fc_width": fc[0] if fc else 1024,
        "haar": nodes[0].kind == "haar",
    }


def _image_shape(nodes: list[_Node], num_dims: int) -> tuple[int, int, int]:
    """(C, H, W): the size of the DCT, doubled by every downsampling before it."""
    sizes = [node.weights["inv_weight"].shape[0] for node in nodes if node.kind == "dct"]
    if len(sizes) != 1:
        raise ValueError(
            f"The entries 'inn' hold {len(sizes)} DCT poolings, which have an 'inv_weight': "
            "expected one."
        )
    halvings = sum(node.kind in ("haar", "downsampling") for node in nodes)
    side = sizes[0] * 2**halvings
    if num_dims % side**2:
        raise ValueError(
            f"Entry 'mu' does not fit: it has {num_dims} dimensions, expected a multiple of "
            f"{side} x {side}, the size of the images."
        )
    return num_dims // side**2, side, side


def _translated(nodes: list[_Node], flow: Any) -> dict[str, tuple[str, Tensor]]:
    """Our names of the weights -> (their name, the weight)."""
    # Permutations have no weights, and so no node.
    ours = [i for i, m in enumerate(flow.module_list) if not isinstance(m, FixedPermutation)]
    if len(ours) != len(nodes):
        raise ValueError(
            f"The entries 'inn' hold {len(nodes)} blocks, expected {len(ours)}: the order of the "
            "blocks is not IB-INN's."
        )
    translated = {}
    for i, node in zip(ours, nodes, strict=True):
        for name, value in node.weights.items():
            if not _DERIVED.fullmatch(name):
                key = f"module_list.{i}.{_our_name(name)}"
                value = value[:, :, 0, 0] if name == "w" else value
                translated[key] = (f"inn.module_list.{node.number}.{name}", value)
    return translated


def _our_name(name: str) -> str:
    for pattern, ours in _RENAMED.items():
        name = re.sub(pattern, ours, name)
    return name


def _load(module: nn.Module, weights: dict[str, tuple[str, Tensor]]) -> None:
    """Copy weights into a module; the first that does not fit is named as in the file."""
    expected = module.state_dict()
    for key, (theirs, value) in weights.items():
        shape = tuple(expected[key].shape) if key in expected else None
        if shape != tuple(value.shape):
            wanted = "no such entry" if shape is None else f"shape {shape}"
            raise ValueError(
                f"Entry '{theirs}' does not fit: it has shape {tuple(value.shape)}, expected "
                f"{wanted}."
            )
    missing = [key for key in expected if key not in weights]
    if missing:
        raise ValueError(f"An entry is missing: nothing was found for our '{missing[0]}'.")
    load_fitting(module, {key: value for key, (_, value) in weights.items()})
