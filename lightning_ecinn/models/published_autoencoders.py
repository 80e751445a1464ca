"""The published autoencoders of IM1 and IM2, arrays in a ``.npz`` file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lightning_ecinn.models.autoencoders import AutoencoderNetwork, Autoencoders
from lightning_ecinn.models.files import read_archive
from lightning_ecinn.models.fitting import build_small, check_finite, load_fitting
from lightning_ecinn.models.weight_files import some_names

__all__ = ["read_published_autoencoders"]

_SIDE = 28
"""Side of their pictures, which their weights do not tell."""


def read_published_autoencoders(path: Path, prefix: str | None) -> Autoencoders:
    """Autoencoders in a ``.npz`` file, under names such as ``PREFIX/ae_0/conv0/weight``.

    Args:
        path: the file.
        prefix: which set; None where the file holds only one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no autoencoders, or not those of the prefix.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There are no autoencoders at {path.absolute()}.")
    try:
        arrays = {key: torch.from_numpy(array) for key, array in read_archive(path)[0].items()}
    except (ValueError, TypeError) as error:  # TypeError: arrays that are not numbers
        raise ValueError(f"{path} is not a file of published autoencoders: {error}.") from None
    sets = sorted({key.rpartition("ae_")[0].rstrip("/") for key in arrays if "ae_" in key})
    if prefix is None and len(sets) == 1:
        prefix = sets[0]
    if prefix not in sets:
        raise ValueError(
            f"{path} has no autoencoders {prefix or ''!r}: give {path}:PREFIX with one of "
            f"{some_names(sets, 8)}."
        )
    start = f"{prefix}/" if prefix else ""
    chosen = {key.removeprefix(start): v for key, v in arrays.items() if key.startswith(start)}
    check_finite(str(path), chosen)
    try:
        return _from_arrays(chosen)
    except (KeyError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise ValueError(f"The autoencoders {prefix!r} in {path} do not fit: {reason}.") from None


def _from_arrays(arrays: Mapping[str, Tensor]) -> Autoencoders:
    """Autoencoders of weights such as ``ae_0/conv0/weight`` and ``ae_all/conv0/weight``."""
    if arrays["ae_all/conv0/weight"].ndim != 4:
        raise ValueError("'ae_all/conv0/weight' is no weight of a convolution")
    width, channels = arrays["ae_all/conv0/weight"].shape[:2]
    names = {key.partition("/")[0] for key in arrays}
    num_classes = len(names) - 1
    shape = (channels, _SIDE, _SIDE)
    autoencoders = build_small(
        lambda: Autoencoders(shape, num_classes, width=width), arrays.values()
    )
    names_in_order = [*(f"ae_{k}" for k in range(num_classes)), "ae_all"]
    for name, network in zip(names_in_order, autoencoders.networks, strict=True):
        assert isinstance(network, AutoencoderNetwork)
        for i, conv in enumerate(network.convolutions):
            state = {key: arrays[f"{name}/conv{i}/{key}"] for key in ("weight", "bias")}
            load_fitting(conv, state)
    return autoencoders.eval()
