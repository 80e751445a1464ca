"""Training that starts from the weights of another one."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning.utilities import rank_zero_info

from lightning_ecinn import shipped
from lightning_ecinn.models import GenerativeClassifier, load_classifier

__all__ = ["start_from"]


def start_from(classifier: GenerativeClassifier, name: str) -> None:
    """Give a classifier the weights of a checkpoint of the same network, and say so.

    Args:
        classifier: whose weights are replaced.
        name: the checkpoint: a file, or the name of one that ships beside the experiments.

    Raises:
        FileNotFoundError: if there is none of this name.
        ValueError: if it holds another network; names the settings that differ.
    """
    path = shipped.find(name)
    if path is None:
        raise FileNotFoundError(
            f"init_from {name}: there is no such file in {Path.cwd()}, and none of that name in "
            f"{shipped.FOLDER}; give the path of a checkpoint."
        )
    source = load_classifier(path)
    ours, theirs = classifier.config, source.config
    different = [key for key in ours if ours[key] != theirs[key] and key != "class_names"]
    if different:
        details = ", ".join(f"{key} {theirs[key]} (here {ours[key]})" for key in different)
        raise ValueError(
            f"init_from: the network in {path} is another one: {details}. Set the same values."
        )
    classifier.load_state_dict(source.state_dict())
    rank_zero_info(f"The network starts from the weights in {path}")
