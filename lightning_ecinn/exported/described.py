"""What a folder of exported files holds, for programs (model.json) and people (README.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import lightning_ecinn
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.exported.readme import readme
from lightning_ecinn.models.networks import Network
from lightning_ecinn.whole_files import write_whole

__all__ = ["MEANS", "ExportedFile", "dtype_of", "write_description"]

MEANS = "means.npz"

_ARRAYS = {
    "class_means": "(K, D): mean latent of the training images classified as each class, mu-bar",
    "class_counts": "(K,): how many images each is over; 0 where there is no mean",
    "component_means": "(K, D): means of the mixture's Gaussians, mu",
    "explainable_pairs": "(K, K) bool: whether a step leads from class p (row) to q (column)",
    "temperature": "a number T: p(y|z) is the softmax over y of (z . mu_y - |mu_y|^2 / 2) / T",
}
_FORMULA = {
    "source": "p = argmax_y p(y|z), z = encoder(image)",
    "direction": "Delta = class_means[q] - class_means[p]",
    "truncated": "Delta - (1 - psi) (z - class_means[p]) in place of Delta, psi = {psi}",
    "alpha_0": "-(w . (z - (mu_p + mu_q) / 2)) / (w . Delta), with w = mu_q - mu_p and mu the "
    "component_means",
    "alpha": "offset + slope alpha_0: (0, 1) is the tipping point, where p and q are equally "
    "likely; ({offset:g}, {slope:g}) the convincing step; (a, 0) a step of one's own",
    "counterfactual": "decoder(z + alpha Delta); the image itself where p = q or where no step "
    "leads from p to q",
}


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written.

    Attributes:
        path: where it lies.
        inputs: by name, what they are.
        outputs: by name, what they are.
        difference: by how much its outputs differ from the model's, at most.
    """

    path: Path
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    difference: float


def dtype_of(model: Explainer | Network) -> torch.dtype:
    """The precision that a model's files are in."""
    return model.dtype if isinstance(model, Explainer) else next(model.parameters()).dtype


def write_description(
    folder: Path, model: Explainer | Network, files: Sequence[ExportedFile], source: str | None
) -> None:
    """Write model.json and README.md; model.json is the last file: a folder that has it is whole.

    Raises:
        WriteError: one can't be written.
    """
    described = _described(model, files, source)
    with write_whole(folder / "README.md") as file:
        file.write(readme(described, folder.name).encode("utf-8", "backslashreplace"))
    with write_whole(folder / "model.json") as file:
        file.write(f"{json.dumps(described, indent=1)}\n".encode())


def _described(
    model: Explainer | Network, files: Sequence[ExportedFile], source: str | None
) -> dict[str, Any]:
    is_flow = isinstance(model, Explainer)
    result = {
        "kind": "generative classifier" if is_flow else "ordinary network",
        "checkpoint": source,
        "class_names": list(model.class_names),
        "image_shape": list(model.image_shape),
        "dtype": str(dtype_of(model)).removeprefix("torch."),
        "files": {
            file.path.name: {
                "inputs": dict(file.inputs),
                "outputs": dict(file.outputs),
                "bytes": file.path.stat().st_size,
                "greatest_difference": file.difference,
            }
            for file in files
        },
        "versions": _versions(files),
    }
    return result | _of_step(model) if isinstance(model, Explainer) else result


def _of_step(explainer: Explainer) -> dict[str, Any]:
    """What a counterfactual needs, in words and numbers."""
    offset, slope = explainer.convincing_step
    values = {"psi": f"{explainer.truncation:g}", "offset": offset, "slope": slope}
    formula = {name: text.format(**values) for name, text in _FORMULA.items()}
    if explainer.truncation == 1:
        del formula["truncated"]
    return {
        "num_dims": explainer.classifier.num_dims,
        "convincing_step": [offset, slope],
        "truncation": explainer.truncation,
        "formula": formula,
        "arrays": {MEANS: dict(_ARRAYS)},
    }


def _versions(files: Sequence[ExportedFile]) -> dict[str, str]:
    """Of what wrote the files."""
    found = {"lightning_ecinn": lightning_ecinn.__version__, "torch": torch.__version__}
    if any(file.path.suffix == ".onnx" for file in files):
        found |= {name: _version(name) for name in ("onnx", "onnxscript", "onnxruntime")}
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
