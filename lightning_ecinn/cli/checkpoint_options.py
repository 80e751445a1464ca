"""What a checkpoint decides: where it is found, and the network that is built for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jsonargparse import Namespace
from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn.cli.checkpoint_names import given_checkpoint
from lightning_ecinn.models.published import Published, published_dropouts
from lightning_ecinn.runs import find_checkpoint
from lightning_ecinn.training.resuming import in_words, trained_otherwise
from lightning_ecinn.training.shared import DESCRIPTION

__all__ = [
    "find_ckpt_path",
    "find_ckpt_paths",
    "fit_to_checkpoint",
    "fit_to_published",
    "keep_trained_with",
]


def find_ckpt_path(options: Namespace, is_fit: bool) -> None:
    """Replace "last", "best", "auto" and names of shipped models by the path of the file.

    Args:
        options: of the subcommand, changed in place.
        is_fit: whether it trains: only then "auto", the last one if there is one, makes sense.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: "auto" for something to look at.
    """
    which = options.get("ckpt_path")
    if which is None:
        return
    if which == "auto" and not is_fit:
        raise ValueError('--ckpt_path auto is for `fit` alone: give "last", or "best".')
    if which in ("last", "best", "auto"):
        name = "last" if which == "auto" else which
        root = options.trainer.default_root_dir
        try:
            path = find_checkpoint(name, options.experiment, root, options.checkpoint.dirpath)
        except FileNotFoundError:
            if which != "auto":
                raise
            rank_zero_info("--ckpt_path auto: there is no last.ckpt yet, so training begins.")
            options.ckpt_path = None
            return
        rank_zero_info(f"Using the checkpoint {path}")
    else:
        path = given_checkpoint(which)
    options.ckpt_path = str(path)


def find_ckpt_paths(options: Namespace) -> list[str]:
    """The paths of several checkpoints; see :func:`find_ckpt_path` for their names and errors."""
    found = []
    for which in options.ckpt_path:
        one = options.clone()
        one.ckpt_path = which
        find_ckpt_path(one, is_fit=False)
        found.append(one.ckpt_path)
    return found


def fit_to_checkpoint(
    arguments: Namespace, path: str, config: Mapping[str, Any], kind: str | None, must_match: bool
) -> None:
    """Take the network's shape from a checkpoint, or refuse to resume another network.

    Args:
        arguments: the module's, changed in place.
        path: the checkpoint, for the message.
        config: of the model in it.
        kind: of the ordinary network that the module trains.
        must_match: whether the arguments must be the checkpoint's already.

    Raises:
        ValueError: it is another network.
    """
    network = {key: value for key, value in config.items() if key not in DESCRIPTION}
    if (theirs := network.pop("kind", None)) != kind:
        raise ValueError(
            f"--ckpt_path: the network in {path} is another one: kind {theirs} (here {kind})."
        )
    different = [key for key, value in network.items() if arguments[key] != value]
    if must_match and different:
        details = ", ".join(f"{key} {network[key]} (here {arguments[key]})" for key in different)
        raise ValueError(f"--ckpt_path: the network in {path} is another one: {details}.")
    if different:
        details = ", ".join(f"{key} {network[key]}, not {arguments[key]}" for key in different)
        rank_zero_info(f"The network is the one in {path}: {details}")
    for key, value in network.items():
        arguments[key] = value
    for key in {"init_from", "weights"} & set(arguments.keys()):  # the checkpoint has its own
        arguments[key] = None


def keep_trained_with(
    arguments: Namespace, settings: Mapping[str, Any], names: Sequence[str]
) -> None:
    """What a checkpoint was trained with stays true where nothing is trained; say what differs.

    Args:
        arguments: the module's, changed in place.
        settings: the checkpoint's.
        names: of the settings that training alone uses.
    """
    different = trained_otherwise(settings, arguments, names)
    said = {key: value for key, value in different.items() if arguments[key] is not None}
    if said:
        details = in_words(said, arguments)
        rank_zero_info(f"The checkpoint was trained with {details}; that stays.")
    for key, value in different.items():
        arguments[key] = value


def fit_to_published(arguments: Namespace, published: Published) -> None:
    """Take what a published checkpoint tells of the network; dropouts are the configuration's."""
    network = published.network
    for key in network.keys() - {*DESCRIPTION}:
        arguments[key] = network[key]
    if len(arguments.dropouts or []) != len(network["blocks"]):
        arguments.dropouts = published_dropouts(len(network["blocks"]))
    arguments.init_from = None
