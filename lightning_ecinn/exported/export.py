"""A trained model as a folder of files that run without this package."""

from __future__ import annotations

import copy
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.loading import loaded
from lightning_ecinn.ecinn.undefined import refuse_without_means
from lightning_ecinn.exported.checking import (
    Case,
    cases_of_flow,
    cases_of_network,
    greatest_difference,
)
from lightning_ecinn.exported.described import MEANS, ExportedFile, dtype_of, write_description
from lightning_ecinn.exported.formats import SUFFIXES, check_onnx, write
from lightning_ecinn.exported.parts import Part, parts_of_flow, parts_of_network
from lightning_ecinn.models.checkpoints import Checkpoint, read_checkpoint
from lightning_ecinn.models.inputs import shown
from lightning_ecinn.models.networks import Network
from lightning_ecinn.progress import progress_bar
from lightning_ecinn.whole_files import write_whole

__all__ = ["Format", "check_format", "export", "read_model", "write_model"]

Format = Literal["pt2", "onnx", "both"]
"""torch.export's, ONNX, or each file in both."""

Model = Explainer | Network


def export(
    model: Model | str | PathLike[str], out: str | PathLike[str], format: Format = "pt2"
) -> list[ExportedFile]:
    """Write a trained model as files that run with torch or onnxruntime alone.

    A flow becomes ``classifier`` (images to posteriors), ``encoder`` (images to latents),
    ``decoder`` (latents to images) and ``counterfactual`` (images, targets and a step to pictures,
    by Eq. 3), for any number of images, and ``means.npz``; an ordinary network its ``classifier``.
    ``model.json`` and ``README.md`` say what is there. Each file is asked beside the model.

    Args:
        model: an explainer, whose precision and truncation the files have; an ordinary network; or
            a checkpoint of either, or a name such as "pretrained:mnist".
        out: a new or empty folder.
        format: "pt2" for torch.export, "onnx", or "both".

    Returns:
        The files, each with the greatest difference between what it and the model say.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the folder holds something, what ONNX needs is not installed, or the model can't
            be exported: it has no class means, or is none of ours.
        WriteError: a file can't be written.

    Example:
        >>> network = ConvNetwork((1, 8, 8), 2, ["calm", "happy"], widths=[4]).eval()
        >>> (file,) = export(network, "model")
        >>> file.path.name, file.difference < 1e-5
        ('classifier.pt2', True)
        >>> classifier = torch.export.load("model/classifier.pt2").module()
        >>> classifier(torch.rand(3, 1, 8, 8)).shape
        torch.Size([3, 2])
    """
    check_format(format)
    folder = Path(out).expanduser()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} holds something already: give a new folder to export into.")
    source = None if isinstance(model, Explainer | Network) else str(model)
    return write_model(_model(model), folder, format, source)


def check_format(format: object) -> None:
    """Raise a ValueError unless it is a `Format` that can be written here."""
    known = get_args(Format)
    if format not in known:
        raise ValueError(f"format must be one of {', '.join(known)}, got {shown(format)}.")
    if format != "pt2":
        check_onnx()


def read_model(
    checkpoint: Checkpoint, dtype: torch.dtype = torch.float32, truncation: float | None = None
) -> Model:
    """What is exported of a checkpoint.

    Args:
        checkpoint: of a flow or an ordinary network.
        dtype: the files' precision.
        truncation: psi; None for the checkpoint's.

    Raises:
        ValueError: a truncation of an ordinary network, or one that is none.
    """
    if isinstance(network := checkpoint.model(), Network):
        if truncation is not None:
            raise ValueError(
                f"--truncation is about counterfactuals, and {checkpoint.path} holds an ordinary "
                "network, which has none: leave it out."
            )
        return network.to(dtype)
    classifier, stored = loaded(checkpoint, "cpu", dtype)
    refuse_without_means(classifier, str(checkpoint.path))
    if truncation is not None:
        stored["truncation"] = truncation
    return Explainer(classifier, **stored)


def write_model(
    model: Model, folder: Path, format: Format, source: str | None = None
) -> list[ExportedFile]:
    """Write the files of a model; see `export`.

    Args:
        model: what is exported.
        folder: where to; files in it are replaced.
        format: of the files.
        source: the checkpoint that it is of, for the description.

    Raises:
        ValueError: the model can't be exported in this format.
        WriteError: a file can't be written.
    """
    if format != "pt2" and dtype_of(model) == torch.float64:
        raise ValueError(
            "onnxruntime has no convolutions in float64: export to ONNX in float32, or to pt2."
        )
    parts, cases = _of_flow(model) if isinstance(model, Explainer) else _of_network(model)
    suffixes, files = SUFFIXES[format], []
    with progress_bar(title="exporting", total=len(parts), unit=" parts") as bar:
        for part in parts:
            for path in write(part, folder, suffixes):
                difference = greatest_difference(part, path, cases[part.name])
                files.append(ExportedFile(path, part.inputs, part.outputs, difference))
            bar.update(1)
    if isinstance(model, Explainer):
        _write_means(model, folder / MEANS)
    write_description(folder, model, files, source)
    return files


def _model(model: Any) -> Model:
    """What is to be exported, checked."""
    if isinstance(model, str | PathLike):
        return read_model(read_checkpoint(model, "classifier", "network"))
    if isinstance(model, Explainer):
        refuse_without_means(model.classifier)
    elif not isinstance(model, Network):
        raise ValueError(
            "export takes an Explainer of a flow, an ordinary network of this project or a "
            f"checkpoint of either, got {shown(model)}: of another classifier's explainer give the "
            "flow's (explainer.flow); any other module torch.export exports by itself."
        )
    return model


def _of_flow(explainer: Explainer) -> tuple[list[Part], dict[str, list[Case]]]:
    cases = cases_of_flow(explainer)
    classifier = explainer.classifier
    if explainer.device.type != "cpu":
        classifier = copy.deepcopy(classifier).cpu()
    network = classifier.folded()
    network.mixture = copy.deepcopy(network.mixture).requires_grad_(False)
    return parts_of_flow(network, explainer.truncation), cases


def _of_network(network: Network) -> tuple[list[Part], dict[str, list[Case]]]:
    own = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    return parts_of_network(own), cases_of_network(own)


def _write_means(explainer: Explainer, path: Path) -> None:
    """What a step needs beside the networks, for numpy."""
    model = explainer.classifier
    arrays: dict[str, Any] = {
        "class_means": model.class_means,
        "class_counts": model.class_counts,
        "component_means": model.mixture.component_means,
        "explainable_pairs": explainer.explainable_pairs(),
        "temperature": model.mixture.temperature,
    }
    arrays = {name: value.detach().cpu().numpy() for name, value in arrays.items()}
    with write_whole(path) as file:
        np.savez(file, **arrays)
