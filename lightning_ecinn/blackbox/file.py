"""A flow, the class means of a classifier, and that classifier's fingerprint, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.blackbox.predictor import Predictor
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.models.checkpoints import READING, Checkpoint
from lightning_ecinn.models.preprocessing import round_to_8_bits
from lightning_ecinn.whole_files import write_whole

__all__ = ["Stored", "own_is_explained", "own_is_exported", "stored_in", "write_black_box"]

_ENTRY = "black_box"
_TOLERANCE = 0.02
"""By which probabilities may differ from machine to machine."""


@dataclass(frozen=True)
class Stored:
    """What a file holds beside the flow.

    Attributes:
        class_means: (K, D).
        class_counts: (K,).
        class_names: K of them.
        fingerprint: (K', K), what the classifier says of the pictures of the class means there are.
    """

    class_means: Tensor
    class_counts: Tensor
    class_names: list[str]
    fingerprint: Tensor

    def check_same(self, flow: Explainer, predictor: Predictor, path: object) -> None:
        """Raise a ValueError where a classifier says something else than the one of the file."""
        means = self.class_means.to(flow.device, flow.dtype)
        now = _fingerprint(flow, predictor, means, self.class_counts).cpu()
        then = self.fingerprint
        if now.shape != then.shape or (now - then).abs().max() > _TOLERANCE:
            raise ValueError(
                f"The classifier is not the one whose class means {path} holds: it answers "
                "otherwise to their pictures. Give that one, or build the class means again, with "
                "`means --classifier` or Explainer.for_classifier."
            )


def write_black_box(
    path: str | PathLike[str],
    flow: Explainer,
    predictor: Predictor,
    *,
    class_means: Tensor,
    class_counts: Tensor,
    class_names: Sequence[str],
) -> None:
    """Write them; see `BlackBoxExplainer.save`.

    Raises:
        ValueError: there is such a file.
        WriteError: it can't be written.
    """
    path, network = Path(path), flow.classifier
    if path.exists():
        raise ValueError(f"{path} exists, and nothing is overwritten: give another name.")
    stored = {
        "class_means": class_means.cpu(),
        "class_counts": class_counts.cpu(),
        "class_names": list(class_names),
        "fingerprint": _fingerprint(flow, predictor, class_means, class_counts).cpu(),
    }
    content = {
        "state_dict": {f"classifier.{k}": v.cpu() for k, v in network.state_dict().items()},
        "classifier": network.config,
        "hyper_parameters": {**asdict(flow.path)},
        READING: {"crop": flow.crop},
        _ENTRY: stored,
    }
    with write_whole(path) as file:
        torch.save(content, file)


def stored_in(checkpoint: Checkpoint) -> Stored | None:
    """What a checkpoint holds beside the flow; None for nothing.

    Raises:
        ValueError: it holds something else than `write_black_box` writes.
    """
    stored: Any = checkpoint.content.get(_ENTRY)
    if stored is None:
        return None
    dims = checkpoint.model().get_buffer("class_means").shape[1]
    if not _is_whole(stored, dims):
        raise ValueError(
            f"{checkpoint.path} holds class means of another classifier that are damaged: build "
            "them again with Explainer.for_classifier, whose result can be saved."
        )
    return Stored(**stored)


def own_is_explained(path: object) -> str:
    """What is said where a file's class means of another classifier are not asked for."""
    return (
        f"{path} holds class means of another classifier, too; the flow's own is explained: "
        "--classifier chooses that one."
    )


def own_is_exported(path: object) -> str:
    """What is said where a file with class means of another classifier is exported."""
    return (
        f"{path} holds class means of another classifier, too; the flow, its own classifier and "
        "its own class means are exported."
    )


@torch.no_grad()
def _fingerprint(
    flow: Explainer, predictor: Predictor, class_means: Tensor, class_counts: Tensor
) -> Tensor:
    """What the classifier says of the pictures of its class means, (K', K)."""
    present = class_means[class_counts.to(class_means.device) > 0]
    return predictor(round_to_8_bits(flow.decode(present)))


def _is_whole(stored: Any, dims: int) -> bool:
    """Whether a file's entry is what `write_black_box` writes."""
    if not isinstance(stored, dict) or set(stored) != set(Stored.__dataclass_fields__):
        return False
    means, counts, names, said = (stored[name] for name in Stored.__dataclass_fields__)
    tensors = all(isinstance(value, Tensor) for value in (means, counts, said))
    return (
        tensors
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and means.shape == (len(names), dims)
        and counts.shape == (len(names),)
    )
